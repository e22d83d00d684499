import pymysql

NAME = "shop"

pymysql.install_as_MySQLdb()
