# Adds a migration whose SQL fails to a Django project; run in its root.
migrations=$(echo */example/migrations)
head=$(basename "$(ls "$migrations"/0*.py | tail -n 1)" .py)
cat > "$migrations/9999_failing.py" <<END
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("example", "$head")]
    operations = [migrations.RunSQL("INSERT INTO nowhere VALUES (1)")]
END
