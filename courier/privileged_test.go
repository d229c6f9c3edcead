//go:build linux

package courier

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"fardel/media"
	"fardel/site"
)

// mountTmpfs mounts a small file system in memory.
func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skipf("needs rights: root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("needs rights: mount: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// mountImage makes a file system in a file, mounts it, and returns both.
func mountImage(t *testing.T, fs string, mkfs ...string) (dir, image string) {
	t.Helper()
	kernel, _ := os.ReadFile("/proc/filesystems")
	if !slices.Contains(strings.Fields(string(kernel)), fs) && exec.Command("modprobe", fs).Run() != nil {
		t.Skipf("needs kernel: %s", fs)
	}
	for _, tool := range []string{mkfs[0], "mount", "umount", "losetup"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs tool: %s", tool)
		}
	}
	if os.Geteuid() != 0 {
		t.Skipf("needs rights: root")
	}
	image, dir = filepath.Join(t.TempDir(), "image"), t.TempDir()
	f, err := os.Create(image)
	if err == nil {
		err = errors.Join(f.Truncate(64*mib), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mkfs[0], append(mkfs[1:], image)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", "-t", fs, image, dir).CombinedOutput(); err != nil {
		t.Skipf("needs rights: mount -o loop: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", dir).Run() })
	return dir, image
}

func TestFullMediumIsRefused(t *testing.T) {
	dir := mountTmpfs(t, "size=256k")
	body := make([]byte, 200<<10)
	load := Load{From: "HQ0", Bodies: []Item{NewItem("bodies/x", body)}}
	if err := Write(context.Background(), dir, load, nil); !errors.Is(err, site.NoSpace) {
		t.Errorf("%v, want %v", err, site.NoSpace)
	}
	if found, _ := os.ReadDir(dir); len(found) > 0 {
		t.Errorf("something was written: %v", found)
	}
}

// TestMediumFillsUp lets another program take the space while we write.
func TestMediumFillsUp(t *testing.T) {
	dir := mountTmpfs(t, "size=2m")
	load := someLoad(t)
	load.Bodies = append(load.Bodies, NewItem("bodies/large", make([]byte, 900<<10)))
	greedy := func(name string, _, _ int64) {
		if strings.HasPrefix(name, "bundles/") {
			os.WriteFile(dir+"/other", make([]byte, 2*mib), 0o644)
		}
	}
	if err := Write(context.Background(), dir, load, greedy); !errors.Is(err, site.NoSpace) {
		t.Fatalf("%v, want %v", err, site.NoSpace)
	}
	noLabelTooEarly(t, dir, load)
	if parts, _ := filepath.Glob(dir + "/FARDEL/HQ0/*/part-*"); len(parts) > 0 {
		t.Errorf("left behind: %v", parts)
	}
	os.Remove(dir + "/other")
	if err := Write(context.Background(), dir, load, nil); err != nil {
		t.Fatal(err)
	}
	finished(t, dir, load)
}

func TestUnpluggedWhileReading(t *testing.T) {
	dir := mountTmpfs(t, "size=1m")
	put(t, dir, "FARDEL/EU1/labels/eu1-fld-000007.label", "theirs")
	c := openCarrier(t, dir)
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open("EU1", "labels/none"); !errors.Is(err, site.MediumGone) {
		t.Errorf("%v, want %v", err, site.MediumGone)
	}
}

func TestUnpluggedWhileWriting(t *testing.T) {
	dir := mountTmpfs(t, "size=2m")
	unplug := func(string, int64, int64) { unix.Unmount(dir, unix.MNT_DETACH) }
	if err := Write(context.Background(), dir, someLoad(t), unplug); !errors.Is(err, site.MediumGone) {
		t.Errorf("%v, want %v", err, site.MediumGone)
	}
}

func TestReadOnlyMedium(t *testing.T) {
	dir := mountTmpfs(t, "size=2m")
	load := someLoad(t)
	if err := Write(context.Background(), dir, load, nil); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	c := openCarrier(t, dir)
	if b, err := c.ReadFile("HQ0", load.Labels[0].Name, 100); err != nil || site.DigestOf(b) != load.Labels[0].Digest {
		t.Errorf("reading: %v", err)
	}
	if err := Write(context.Background(), dir, load, nil); err != nil {
		t.Errorf("writing what is there: %v", err)
	}
	load.Bodies = append(load.Bodies, NewItem("bodies/new", nil))
	if err := Write(context.Background(), dir, load, nil); !errors.Is(err, site.Failed) {
		t.Errorf("writing: %v, want %v", err, site.Failed)
	}
}

// TestReadBackKnowsMemory writes to memory, which no advice throws out.
func TestReadBackKnowsMemory(t *testing.T) {
	dir, load := mountTmpfs(t, "size=2m"), someLoad(t)
	if err := Write(context.Background(), dir, load, nil); err != nil {
		t.Fatal(err)
	}
	if fromMedium, err := ReadBack(context.Background(), dir, load, nil); err != nil || fromMedium {
		t.Errorf("fromMedium %v, %v; this is memory", fromMedium, err)
	}
}

// TestReadBackReadsTheMedium changes a byte below the file system, where only a
// reading that goes to the device can see it.
func TestReadBackReadsTheMedium(t *testing.T) {
	readsTheMedium(t, "ext4", "mkfs.ext4", "-q", "-F")
}

// TestFAT does the same on the file system that most sticks have.
func TestFAT(t *testing.T) {
	readsTheMedium(t, "vfat", "mkfs.vfat")
}

func readsTheMedium(t *testing.T, fs string, mkfs ...string) {
	dir, image := mountImage(t, fs, mkfs...)
	load := someLoad(t)
	mark := bytes.Repeat([]byte("a bundle full of marks "), 4000)
	load.Bundles = append(load.Bundles, NewItem(media.BundlePath(site.DigestOf(mark), media.Codec("xz")), mark))
	if err := Write(context.Background(), dir, load, nil); err != nil {
		t.Fatal(err)
	}
	if fromMedium, err := ReadBack(context.Background(), dir, load, nil); err != nil || !fromMedium {
		t.Fatalf("fromMedium %v, %v", fromMedium, err)
	}
	raw, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(raw, mark[:4096])
	if at < 0 {
		t.Fatal("the bundle is not on the device, though it was synced")
	}
	f, err := os.OpenFile(image, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{'?'}, int64(at)+1000); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := ReadBack(context.Background(), dir, load, nil); !errors.Is(err, site.Damaged) {
		t.Errorf("%v, want %v", err, site.Damaged)
	}
	if err := Write(context.Background(), dir, load, nil); err != nil {
		t.Fatal(err)
	}
	finished(t, dir, load)
}

func TestEject(t *testing.T) {
	dir := mountTmpfs(t, "size=1m")
	put(t, dir, "file", "x")
	busy, err := os.Open(dir + "/file")
	if err != nil {
		t.Fatal(err)
	}
	if how, err := Eject(context.Background(), dir); !errors.Is(err, site.Failed) || how != Synced {
		t.Errorf("in use: %s, %v", how, err)
	}
	busy.Close()
	if how, err := Eject(context.Background(), dir); err != nil || how != Unmounted {
		t.Errorf("%s, %v", how, err)
	}
	if how, err := Eject(context.Background(), dir); err != nil || how != Synced {
		t.Errorf("a folder: %s, %v", how, err)
	}
	if _, err := Eject(context.Background(), dir+"/none"); !errors.Is(err, site.NoMedium) {
		t.Errorf("nothing: %v", err)
	}
}

func TestISO(t *testing.T) {
	tool, err := exec.LookPath("xorriso")
	if err != nil {
		t.Skipf("needs tool: xorriso")
	}
	load, dir := someLoad(t), t.TempDir()
	folders, err := Images(context.Background(), dir, "hq0-fld-000042", load, nil)
	if err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(dir, "disc.iso")
	if err := ISO(context.Background(), folders[0], image, "HQ0_FLD_42"); err != nil {
		t.Fatal(err)
	}
	if err := ISO(context.Background(), folders[0], image, "HQ0_FLD_42"); !errors.Is(err, site.Exists) {
		t.Errorf("over another: %v", err)
	}
	out := filepath.Join(dir, "out")
	if text, err := exec.Command(tool, "-osirrox", "on", "-indev", image, "-extract", "/", out).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if _, err := ReadBack(context.Background(), out, load, nil); err != nil {
		t.Error(err)
	}
	if err := ISO(context.Background(), dir+"/none", dir+"/x.iso", "X"); !errors.Is(err, site.Failed) {
		t.Errorf("nothing: %v", err)
	}
	if err := ISO(context.Background(), folders[0], dir+"/y.iso", "lower case"); !errors.Is(err, site.Internal) {
		t.Errorf("a false name: %v", err)
	}
}
