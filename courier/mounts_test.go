//go:build linux

package courier

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fardel/site"
)

// fakeSystem makes folders that look like /proc, /sys, /dev and /media: a stick
// with a space in its name, a disc, a share, and a disk that is none of ours.
func fakeSystem(t *testing.T) system {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	usb := "sys/devices/pci0/usb1/1-2"
	put(t, dir, usb+"/idVendor", "0781\n")
	put(t, dir, usb+"/serial", "4C53\x1b[31m21\n")
	put(t, dir, usb+"/1-2:1.0/host2/block/sdb/removable", "1\n")
	put(t, dir, usb+"/1-2:1.0/host2/block/sdb/device/model", "Ultra   \n")
	put(t, dir, usb+"/1-2:1.0/host2/block/sdb/device/vendor", "SanDisk \n")
	put(t, dir, usb+"/1-2:1.0/host2/block/sdb/sdb1/partition", "1\n")
	put(t, dir, "sys/devices/pci0/ata1/block/sda/removable", "0\n")
	put(t, dir, "dev/disk/by-label/x", "")
	os.Remove(dir + "/dev/disk/by-label/x")
	for link, to := range map[string]string{
		"sys/dev/block/8:17":                   dir + "/" + usb + "/1-2:1.0/host2/block/sdb/sdb1",
		"sys/dev/block/8:1":                    dir + "/sys/devices/pci0/ata1/block/sda",
		`dev/disk/by-label/FIELD\x20STICK\x31`: "../../sdb1",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, link)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []string{"media/ada/FIELD STICK", "media/share", "srv"} {
		if err := os.MkdirAll(filepath.Join(dir, m), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	lines := []string{
		"27 1 8:1 / / rw,relatime - ext4 /dev/sda rw",
		"30 27 8:1 / DIR/srv rw - ext4 /dev/sda rw",
		`31 27 8:17 / DIR/media/ada/FIELD\040STICK rw,nosuid shared:5 - vfat /dev/sdb1 rw,uid=1000`,
		"32 27 0:50 / DIR/media/share ro - nfs4 host:/x rw",
		"33 27 0:51 / DIR/media/auto rw - autofs systemd-1 rw",
		"34 27 0:52 / DIR/media/gone rw - fuse x rw",
		"a line of another form",
	}
	put(t, dir, "mountinfo", strings.ReplaceAll(strings.Join(lines, "\n"), "DIR", dir)+"\n")
	return system{dir + "/mountinfo", dir + "/sys", dir + "/dev", []string{dir + "/media"}}
}

func TestMounted(t *testing.T) {
	s := fakeSystem(t)
	found, err := mounted(context.Background(), s)
	if err != nil || len(found) != 2 {
		t.Fatalf("%+v, %v", found, err)
	}
	stick, share := found[0], found[1]
	if stick.Free <= 0 || stick.Size < stick.Free {
		t.Errorf("free %d of %d", stick.Free, stick.Size)
	}
	stick.Free, stick.Size = 0, 0
	want := Medium{Path: s.roots[0] + "/ada/FIELD STICK", Device: "/dev/sdb1", FS: "vfat", Label: "FIELD STICK1",
		Serial: "4C53?[31m21", Model: "SanDisk Ultra", Removable: true}
	if stick != want {
		t.Errorf("got  %+v\nwant %+v", stick, want)
	}
	if share.FS != "nfs4" || !share.ReadOnly || share.Removable {
		t.Errorf("%+v", share)
	}
}

func TestMountedGivesUp(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := mounted(ctx, fakeSystem(t)); err != nil {
		t.Error(err)
	}
}

func TestMountedWithoutList(t *testing.T) {
	if _, err := mounted(context.Background(), system{mountinfo: "/nonexistent"}); !errors.Is(err, site.Failed) {
		t.Errorf("%v", err)
	}
}

func TestAt(t *testing.T) {
	dir := t.TempDir()
	m, err := At(context.Background(), dir)
	if err != nil || m.Path != dir || m.Free <= 0 || m.Removable {
		t.Errorf("%+v, %v", m, err)
	}
	put(t, dir, "file", "")
	for _, path := range []string{dir + "/none", dir + "/file"} {
		if _, err := At(context.Background(), path); !errors.Is(err, site.NoMedium) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add(`31 27 8:17 / /media/FIELD\040STICK rw,nosuid shared:5 - vfat /dev/sdb1 rw,uid=1000`)
	f.Add("1 2 3 4 5 6 - 7 8 9\n - \n")
	f.Add(`1 2 3 4 \0 6 - 7 \400 9`)
	f.Fuzz(func(t *testing.T, text string) {
		all := parseMounts(text)
		if lines := strings.Count(text, "\n") + 1; len(all) > lines {
			t.Errorf("%d mounts in %d lines", len(all), lines)
		}
		for _, m := range lastMounts(all) {
			if len(m.path) > len(text) {
				t.Errorf("a path of %d bytes in %d", len(m.path), len(text))
			}
		}
	})
}

func TestShown(t *testing.T) {
	for in, want := range map[string]string{
		"  plain ":              "plain",
		"\x1b[2J":               "?[2J",
		"a\u202eb":              "a?b",
		"\xff":                  "?",
		strings.Repeat("x", 99): strings.Repeat("x", 61) + "...",
	} {
		if got := shown(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
