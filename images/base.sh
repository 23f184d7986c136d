#!/bin/bash
# base.sh [<tag>]: makes the base of the images with debootstrap and tags it, where
# debian:12-slim cannot be pulled. With the tag there already it does nothing.
#
#   DOCKER   the client, with its options (docker)
#   MIRROR   where the packages come from; unset: debootstrap's own default
#   SOURCES  a file of apt sources for the base; unset: those of this machine for bookworm, or
#            what MIRROR has where this machine is another
#   FORCE    1 makes it anew
set -euo pipefail

tag=${1:-browserd-base:12}
read -ra docker <<<"${DOCKER:-docker}"

if [ "${FORCE-}" != 1 ] && "${docker[@]}" image inspect "$tag" >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "base.sh: debootstrap needs root" >&2
    exit 1
fi
for program in debootstrap tar; do
    if ! command -v "$program" >/dev/null; then
        echo "base.sh: $program is missing" >&2
        exit 1
    fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

# Debian's own of the sources that apt has here, for this release.
sources() {
    # The fields are apt's, not the shell's.
    # shellcheck disable=SC2016
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)' \
        'Identifier: Packages' 2>/dev/null |
        awk '$5 == "Debian" && $3 ~ /^bookworm/ { print $1, $2, $3, $4 }' | sort --unique
}

debootstrap --variant=minbase --include=ca-certificates bookworm "$root" ${MIRROR:+"$MIRROR"}

list=$root/etc/apt/sources.list
if [ -n "${SOURCES-}" ]; then
    cp "$SOURCES" "$list"
elif [ -z "${MIRROR-}" ] && [ -n "$(sources)" ]; then
    sources >"$list"
else
    # Beside the release there are its updates and the fixes of security holes.
    sed --in-place --regexp-extended \
        's|^(deb \S+)/debian/? bookworm main.*|&\n\1/debian bookworm-updates main\n\1/debian-security bookworm-security main|' \
        "$list"
fi

# As the official slim image has it: what a container never reads is not unpacked.
cat >"$root/etc/dpkg/dpkg.cfg.d/slim" <<'END'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/groff/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/locale/*
path-include /usr/share/locale/locale.alias
END
cat >"$root/etc/apt/apt.conf.d/slim" <<'END'
Acquire::Languages "none";
Acquire::GzipIndexes "true";
APT::Install-Recommends "false";
END
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"

find "$root/usr/share/doc" -mindepth 2 ! -name copyright ! -type d -delete
find "$root/usr/share/doc" -depth -mindepth 1 -type d -empty -delete
find "$root/usr/share/locale" -mindepth 1 -maxdepth 1 ! -name locale.alias -exec rm -rf {} +
rm -rf "$root"/usr/share/{man,info,groff,lintian}/* "$root"/var/lib/apt/lists/* \
    "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb \
    "$root"/var/cache/ldconfig/aux-cache "$root"/var/log/*.log "$root"/var/log/apt
# Each machine makes its own.
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id" "$root/etc/hostname" "$root/etc/resolv.conf"

# In a fixed order and without the time of this run, so that the same packages give the same
# bytes.
epoch=${SOURCE_DATE_EPOCH:-$(stat --format=%Y "$root/var/lib/dpkg/status")}
tar --create --directory="$root" --numeric-owner --sort=name --mtime="@$epoch" --clamp-mtime \
    --one-file-system --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' . |
    "${docker[@]}" import --change 'CMD ["bash"]' --message 'debootstrap bookworm' - "$tag" >/dev/null
echo "base.sh: $tag"
