# Runs a server's program in a container that sees the run's folder at the same path. A server's container bears the
# name of its data folder, by which it is paused and removed.
container=
case $program in
postgres | mysqld | redis-server)
    for word; do
        case ${word#--datadir=} in "$run"/*) folder=${word#--datadir=} ;; esac
    done
    case " $* " in
    *" --initialize"*) ;;
    *) container="--name ${run##*/}-${folder##*/}" ;;
    esac
    ;;
esac
# shellcheck disable=SC2086
exec docker run --rm --interactive --network host $container \
    --user "${DOZEN_USER:-$(id -u):$(id -g)}" --volume "$run:$run" --volume /etc/passwd:/etc/passwd:ro \
    --workdir / --entrypoint "$program" "$image" "$@"
