package courier

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fardel/site"
)

// maxMountinfo bounds what is read of the list of mounts.
const maxMountinfo = 4 << 20

// mounted reads the list of mounts and asks each medium for its room. The system
// may hang on a dead one, so each is asked on its own.
func mounted(ctx context.Context, s system) ([]Medium, error) {
	text, err := readSmall(s.mountinfo, maxMountinfo)
	if err != nil {
		return nil, site.Failed.New("the list of mounts cannot be read: %s", reason(err)).Because(err)
	}
	type answer struct {
		m  Medium
		ok bool
	}
	answers := make(chan answer)
	waiting := 0
	for _, mt := range lastMounts(parseMounts(text)) {
		m, wanted := s.describe(mt)
		if !wanted {
			continue
		}
		waiting++
		go func() {
			have, err := roomOf(m.Path)
			m.Free, m.Size = have.free, have.size
			m.ReadOnly = m.ReadOnly || have.readOnly
			select {
			case answers <- answer{m, err == nil}:
			case <-ctx.Done():
			}
		}()
	}
	var found []Medium
	for ; waiting > 0; waiting-- {
		select {
		case a := <-answers:
			if a.ok {
				found = append(found, a.m)
			}
		case <-ctx.Done():
			waiting = 1
		}
	}
	slices.SortFunc(found, byPath)
	return found, nil
}

// A mount is one line of mountinfo.
type mount struct {
	number   string // of the device, such as 8:17
	path     string
	fs       string
	source   string
	readOnly bool
}

// parseMounts reads mountinfo; lines of another form are passed over. See
// proc_pid_mountinfo(5).
func parseMounts(text string) []mount {
	var all []mount
	for line := range strings.Lines(text) {
		left, right, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		a, b := strings.Split(left, " "), strings.Split(right, " ")
		if !ok || len(a) < 6 || len(b) < 3 {
			continue
		}
		all = append(all, mount{
			number: a[2], path: unescape(a[4]), fs: b[0], source: unescape(b[1]),
			readOnly: hasOption(a[5], "ro") || hasOption(b[2], "ro"),
		})
	}
	return all
}

func hasOption(list, option string) bool {
	return slices.Contains(strings.Split(list, ","), option)
}

// unescape undoes \040 and the like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && octal(s[i+1]) && octal(s[i+2]) && octal(s[i+3]) && s[i+1] < '4' {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(c byte) bool { return c >= '0' && c <= '7' }

// lastMounts keeps the last mount at each path: it hides those before.
func lastMounts(all []mount) []mount {
	var out []mount
	for i, m := range all {
		hidden := slices.ContainsFunc(all[i+1:], func(n mount) bool { return n.path == m.path })
		if !hidden {
			out = append(out, m)
		}
	}
	return out
}

// describe tells what kind of medium a mount is, and whether it is one at all.
func (s system) describe(mt mount) (Medium, bool) {
	m := Medium{Path: mt.path, Device: mt.source, FS: mt.fs, ReadOnly: mt.readOnly}
	if disk := s.disk(mt.number); disk != "" {
		m.Removable = s.removable(disk)
		m.Serial = s.serial(disk)
		m.Model = shown(strings.TrimSpace(s.attribute(disk, "device/vendor") + " " + s.attribute(disk, "device/model")))
		m.Label = s.label(mt.source)
	}
	under := slices.ContainsFunc(s.roots, func(root string) bool {
		return m.Path == root || strings.HasPrefix(m.Path, root+"/")
	})
	return m, under && !slices.Contains(kernelOnly, mt.fs)
}

// kernelOnly are file systems that hold no files of anybody.
var kernelOnly = []string{"autofs", "proc", "sysfs", "cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "debugfs", "tracefs"}

// disk returns the folder in /sys of the whole disk that a device number stands
// for, or nothing if it is no block device.
func (s system) disk(number string) string {
	if strings.ContainsAny(number, "/.") {
		return ""
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(s.sys, "dev/block", number))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(dir, "partition")); err == nil {
		dir = filepath.Dir(dir)
	}
	return dir
}

// removable reports whether a disk can be taken out: the kernel says so of card
// readers and drives, but not of most USB disks and of SD cards.
func (s system) removable(disk string) bool {
	return s.attribute(disk, "removable") == "1" || strings.Contains(disk, "/usb") || s.attribute(disk, "device/type") == "SD"
}

// serial looks for the device's own number first, and then for that of the USB
// device that it is part of.
func (s system) serial(disk string) string {
	if n := s.attribute(disk, "device/serial"); n != "" {
		return shown(n)
	}
	for dir := disk; len(dir) > len(s.sys); dir = filepath.Dir(dir) {
		if s.attribute(dir, "idVendor") != "" {
			return shown(s.attribute(dir, "serial"))
		}
	}
	return ""
}

// label finds the file system's name among the links that udev makes.
func (s system) label(source string) string {
	dir := filepath.Join(s.dev, "disk/by-label")
	links, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, l := range links {
		to, err := os.Readlink(filepath.Join(dir, l.Name()))
		if err == nil && filepath.Base(to) == filepath.Base(source) {
			return shown(unhex(l.Name()))
		}
	}
	return ""
}

// unhex undoes udev's \x20 and the like.
func unhex(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			hi, lo := strings.IndexByte(hexDigits, s[i+2]), strings.IndexByte(hexDigits, s[i+3])
			if hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

const hexDigits = "0123456789abcdef"

// attribute reads a small file of /sys; an absent one is empty.
func (s system) attribute(dir, name string) string {
	text, err := readSmall(filepath.Join(dir, name), 4096)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(text)
}

// readSmall reads a file of the kernel, whose size is not known before.
func readSmall(name string, most int64) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = errors.New("is larger than it can be")
	}
	return string(b), err
}
