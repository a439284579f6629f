# Ends every process of a cluster when the one who started it is gone, however it went: it holds the other
# end of our stdin. Words on stdin: `keep` keeps the directory.
#   sh -c THIS reaper DIRECTORY MARKER
trap '' INT TERM HUP
keep=
while read -r word; do
    [ "$word" = keep ] && keep=1
done

# By the marker in their environment, or by where they stand: a container's child may clear its environment.
members() {
    {
        grep -lzxF -e "$2=$1" /proc/[0-9]*/environ
        find /proc/[0-9]*/cwd -maxdepth 0 -lname "$1/*"
    } 2>/dev/null | cut -d / -f 3 | sort -u
}

round=0
while pids=$(members "$1" "$2") && [ -n "$pids" ] && [ $round -lt 100 ]; do
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null
    round=$((round + 1))
    sleep 0.05
done
[ -n "$keep" ] || rm -rf "$1"
