package courier

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"fardel/site"
)

func eject(ctx context.Context, path string) (Ejection, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", noMedium(path, err)
	}
	if real, err = filepath.Abs(real); err != nil {
		return "", noMedium(path, err)
	}
	if err := syncPath(real); err != nil {
		return "", explain(err, path, nil, "writing to", path)
	}
	text, err := readSmall(thisSystem.mountinfo, maxMountinfo)
	if err != nil {
		return Synced, site.Failed.New("the list of mounts cannot be read: %s", reason(err)).
			In("All bytes are on the medium").Because(err)
	}
	all := lastMounts(parseMounts(text))
	i := slices.IndexFunc(all, func(m mount) bool { return m.path == real })
	if i < 0 {
		return Synced, nil
	}
	if err := unmount(ctx, real, all[i].source); err != nil {
		f := site.Failed.New("%s cannot be unmounted: %s", path, reason(err)).In("All bytes are on the medium").Because(err)
		if errors.Is(err, unix.EBUSY) {
			return Synced, f.Then("Close the programs that use it and run again")
		}
		return Synced, f.Then("Unmount it as the desktop or an administrator does")
	}
	if openTray(all[i].source) {
		return Ejected, nil
	}
	return Unmounted, nil
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return syncAll(f)
}

// unmount asks the kernel first, and where that needs more rights the helpers
// that desktops have for it.
func unmount(ctx context.Context, path, device string) error {
	err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW)
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	for _, cmd := range [][]string{{"udisksctl", "unmount", "--no-user-interaction", "-b", device}, {"umount", "--", path}} {
		if _, missing := exec.LookPath(cmd[0]); missing != nil {
			continue
		}
		if exec.CommandContext(ctx, cmd[0], cmd[1:]...).Run() == nil {
			return nil
		}
	}
	return err
}

// openTray opens the tray of an optical drive.
func openTray(device string) bool {
	if !strings.HasPrefix(device, "/dev/sr") {
		return false
	}
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	const cdromEject = 0x5309 // linux/cdrom.h
	return unix.IoctlSetInt(fd, cdromEject, 0) == nil
}
