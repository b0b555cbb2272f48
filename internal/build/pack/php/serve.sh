#!/bin/bash
# Serves a PHP app on $PORT with nginx and PHP-FPM, or with Apache; by the name
# that it is called by. Options of Heroku's scripts of the same names:
#
#   heroku-php-nginx [-C include.conf] [-F fpm.conf] [-i php.ini] [DOCROOT]
#   heroku-php-apache2 [-C include.conf] [-i php.ini] [DOCROOT]
set -eu
include=/dev/null fpm= ini=
while getopts "C:F:i:c:l:p:t:v" o; do
  case $o in
    C) include=$(realpath "$OPTARG") ;;
    F) fpm=$(realpath "$OPTARG") ;;
    i) ini=$(realpath "$OPTARG") ;;
    *) ;;
  esac
done
shift $((OPTIND - 1))
export DOCROOT INCLUDE=$include PORT=${PORT:-8080}
DOCROOT=$(realpath "${1:-.}")
work=$(mktemp -d)
[ -z "$ini" ] || { mkdir "$work/ini" && cp "$ini" "$work/ini/app.ini" && export PHP_INI_SCAN_DIR="$PHP_INI_SCAN_DIR:$work/ini"; }
# Processes by memory: about 64 MB each, two at least.
limit=$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null | grep -E '^[0-9]{1,15}$' | head -n 1 || true)
workers=${WEB_CONCURRENCY:-$(( ${limit:-536870912} / 67108864 ))}
if [ "$workers" -lt 2 ]; then workers=2; elif [ "$workers" -gt 64 ]; then workers=64; fi

if [ "$(basename "$0")" = heroku-php-apache2 ]; then
  export WORK=$work WORKERS=$workers
  setsid /usr/sbin/apache2 -D FOREGROUND -f /opt/stead/apache.conf & pid=$! # it signals its whole process group
  trap 'kill -WINCH $pid 2>/dev/null || true' TERM INT # a graceful stop
  while kill -0 $pid 2>/dev/null; do wait $pid && code=0 || code=$?; done
  exit $code
fi

cat > "$work/fpm.conf" <<FPM
[global]
error_log = /dev/stderr
daemonize = no
[www]
listen = $work/fpm.sock
pm = ondemand
pm.max_children = $workers
pm.process_idle_timeout = 60s
clear_env = no
catch_workers_output = yes
decorate_workers_output = no
${fpm:+include = $fpm}
FPM
sed -e "s|@WORK@|$work|g" -e "s|@PORT@|$PORT|g" -e "s|@DOCROOT@|$DOCROOT|g" -e "s|@INCLUDE@|$include|g" /opt/stead/nginx.conf > "$work/nginx.conf"
"/usr/sbin/php-fpm$STEAD_PHP" --nodaemonize --force-stderr --fpm-config "$work/fpm.conf" & fpm_pid=$!
/usr/sbin/nginx -e stderr -c "$work/nginx.conf" & nginx_pid=$!
# Requests in flight are answered before the end.
trap 'kill -QUIT $nginx_pid 2>/dev/null; wait $nginx_pid; kill -QUIT $fpm_pid 2>/dev/null; wait $fpm_pid; exit 0' TERM INT
wait -n || true
echo "one of nginx and PHP-FPM ended; stopping the other" >&2
kill -QUIT $nginx_pid $fpm_pid 2>/dev/null || true
exit 1
