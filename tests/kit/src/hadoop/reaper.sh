# Ends every process of a cluster when the one who started it is gone, however it went: it holds the other
# end of our stdin. Lines on stdin: `keep` keeps the directory, `wire NAME` takes that wire away (wire.rs).
#   sh -c THIS reaper DIRECTORY MARKER
trap '' INT TERM HUP
keep= wire=
while read -r word name; do
    case $word in
    keep) keep=1 ;;
    wire) wire=$name ;;
    esac
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
[ -z "$wire" ] || { ip link del "$wire"; ip netns del "$wire"; }
[ -n "$keep" ] || rm -rf "$1"
