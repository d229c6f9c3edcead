package courier

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"fardel/media"
	"fardel/site"
)

// ImageFolders returns the names of the folders that stand for the media of one
// export, such as hq0-fld-000042.1of3.
func ImageFolders(dir, name string, count int) []string {
	out := make([]string, count)
	for i := range out {
		out[i] = filepath.Join(dir, fmt.Sprintf("%s.%dof%d", name, i+1, count))
	}
	return out
}

// Images writes one folder per medium, to be burnt or copied elsewhere, and
// reads each back. It returns the folders. The load may need several media; the
// folders are made in dir, and named after name.
func Images(ctx context.Context, dir, name string, load Load, progress Progress) ([]string, error) {
	if !media.ValidName(name) {
		return nil, site.Internal.New("%q is no name for a folder", shown(name))
	}
	count := 1
	for _, it := range load.Items() {
		count = max(count, it.Medium)
	}
	folders := ImageFolders(dir, name, count)
	for i, folder := range folders {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, noMedium(folder, err)
		}
		part := load.On(i + 1)
		if err := Write(ctx, folder, part, progress); err != nil {
			return folders[:i], err
		}
		if _, err := ReadBack(ctx, folder, part, nil); err != nil {
			return folders[:i], err
		}
	}
	return folders, nil
}

// ISO makes an image of a folder for an optical disc, with the program xorriso.
// The volume is the disc's name: at most 32 of A-Z, 0-9 and _. An image that is
// there already is not touched.
func ISO(ctx context.Context, folder, image, volume string) error {
	if len(volume) < 1 || len(volume) > 32 || strings.Trim(volume, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		return site.Internal.New("%q is no name for a disc", shown(volume))
	}
	tool, err := exec.LookPath("xorriso")
	if err != nil {
		return site.NoSuch.New("the program xorriso is not installed").
			In("The folder %s is ready", folder).
			Then("Install xorriso, or burn the folder with another program").Because(err)
	}
	if _, err := os.Lstat(image); err == nil {
		return site.Exists.New("%s is there already", image).Then("Remove it, or choose another name")
	}
	part := image + ".part"
	defer os.Remove(part)
	// Joliet with long names: those of bundles have 76 characters.
	cmd := exec.CommandContext(ctx, tool, "-as", "mkisofs", "-quiet", "-V", volume,
		"-R", "-J", "-joliet-long", "-o", part, folder)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return explain(ctx.Err(), folder, nil, "making", image)
	}
	if err != nil {
		return site.Failed.New("xorriso could not make %s: %s", image, shown(lastLine(string(out)))).
			In("The folder %s is ready", folder).Because(errors.Join(err, errors.New(shown(string(out)))))
	}
	if err := syncFile(part); err != nil {
		return explain(err, image, nil, "writing", image)
	}
	if err := os.Rename(part, image); err != nil {
		return explain(err, image, nil, "writing", image)
	}
	return nil
}

func syncFile(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
