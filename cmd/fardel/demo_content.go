package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"fardel/site"
)

// demoContent is a package in two versions, as folders below the demo's.
type demoContent struct {
	first, second string
	says, update  string // where they come from, in a sentence each
	files         int    // that were compared in the end
}

// demoModules are what the demo would like to show, best first: many files, not
// too many bytes, and modules that this program is built from.
var demoModules = []string{
	"golang.org/x/tools", "golang.org/x/mod", "golang.org/x/sys", "golang.org/x/crypto", "golang.org/x/text", "golang.org/x/term",
	"golang.org/x/net", "golang.org/x/sync", "google.golang.org/protobuf", "filippo.io/age", "github.com/klauspost/compress",
}

// findContent copies two versions of a module out of the module cache, or makes
// the second one if there is only one.
func findContent(ctx context.Context, into string) (demoContent, error) {
	for _, cache := range moduleCaches(ctx) {
		if name, versions := chooseModule(cache); name != "" {
			return copyModule(cache, name, versions, into)
		}
	}
	return ownContent(into)
}

// moduleCaches returns the folders in which modules may lie.
func moduleCaches(ctx context.Context) []string {
	var all []string
	if program, err := exec.LookPath("go"); err == nil {
		cmd := exec.CommandContext(ctx, program, "env", "GOMODCACHE")
		cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local")
		if out, err := cmd.Output(); err == nil {
			all = append(all, strings.TrimSpace(string(out)))
		}
	}
	all = append(all, os.Getenv("GOMODCACHE"))
	for _, p := range filepath.SplitList(os.Getenv("GOPATH")) {
		all = append(all, filepath.Join(p, "pkg", "mod"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		all = append(all, filepath.Join(home, "go", "pkg", "mod"))
	}
	return slices.DeleteFunc(all, func(p string) bool { return !filepath.IsAbs(p) })
}

// chooseModule returns a module with its newest two released versions, the
// newest last; one version if no module has two.
func chooseModule(cache string) (string, []string) {
	for _, least := range []int{2, 1} {
		for _, m := range demoModules {
			found, _ := filepath.Glob(filepath.Join(cache, filepath.FromSlash(m)+"@*"))
			var versions []string
			for _, f := range found {
				if v := f[strings.LastIndex(f, "@")+1:]; semver.IsValid(v) && semver.Prerelease(v) == "" && holdsFiles(f) {
					versions = append(versions, v)
				}
			}
			slices.SortFunc(versions, semver.Compare)
			if len(versions) >= least {
				return m, versions[len(versions)-least:]
			}
		}
	}
	return "", nil
}

func holdsFiles(dir string) bool {
	names, err := os.ReadDir(dir)
	return err == nil && len(names) > 3
}

func copyModule(cache, name string, versions []string, into string) (demoContent, error) {
	base := path.Base(name)
	var folders []string
	for _, v := range versions {
		to := base + "-" + v
		if err := copyTree(filepath.Join(cache, filepath.FromSlash(name)+"@"+v), filepath.Join(into, to)); err != nil {
			return demoContent{}, site.Failed.New("the module %s %s cannot be copied: %s", name, v, reason(err))
		}
		folders = append(folders, "content/"+to)
	}
	c := demoContent{first: folders[0], second: folders[len(folders)-1],
		says: fmt.Sprintf("The package is the source tree of %s %s.", name, versions[0])}
	if len(versions) > 1 {
		c.update = fmt.Sprintf("The next version is the released %s %s.", name, versions[1])
		return c, nil
	}
	return changed(c, into)
}

// ownContent makes a package of this program and its texts, where no module is.
func ownContent(into string) (demoContent, error) {
	fail := func(err error) (demoContent, error) {
		return demoContent{}, site.Failed.New("the demo's content cannot be made: %s", reason(err))
	}
	dir := filepath.Join(into, "fardel-1")
	if err := os.CopyFS(filepath.Join(dir, "help"), topicFiles); err != nil {
		return fail(err)
	}
	self, err := os.Executable()
	if err == nil {
		var b []byte
		if b, err = os.ReadFile(self); err == nil {
			err = os.WriteFile(filepath.Join(dir, "fardel"), b, 0o755)
		}
	}
	if err != nil {
		return fail(err)
	}
	return changed(demoContent{first: "content/fardel-1", says: "There is no Go module on this machine, so the package is this program and its help."}, into)
}

// changed makes a second version of a tree: some texts change, one file is new
// and one is gone.
func changed(c demoContent, into string) (demoContent, error) {
	second := filepath.Base(c.first) + "-changed"
	dir := filepath.Join(into, second)
	if err := copyTree(filepath.Join(into, filepath.Base(c.first)), dir); err != nil {
		return c, err
	}
	var texts []string
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && slices.Contains([]string{".go", ".txt", ".md"}, filepath.Ext(p)) {
			texts = append(texts, p)
		}
		return err
	})
	if err != nil || len(texts) < 3 {
		return c, site.Failed.New("the demo's content has too few files")
	}
	for i, p := range texts {
		switch {
		case i == 0:
			err = os.Remove(p)
		case i%max(len(texts)/5, 1) == 1 || i == 1:
			err = appendTo(p, "// changed for the demo\n")
		}
		if err != nil {
			return c, err
		}
	}
	c.second = "content/" + second
	c.update = "There is only one version on this machine, so the next one is the same tree with some files changed, one removed and one added."
	return c, os.WriteFile(filepath.Join(dir, "NEWS.txt"), []byte("What is new in the demo.\n"), 0o644)
}

func appendTo(p, text string) error {
	f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err = f.WriteString(text); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// copyTree copies folders and regular files. They can be written afterwards,
// unlike those of the module cache.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		if e.IsDir() {
			return os.Mkdir(dst, 0o755)
		}
		if !e.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if err := os.WriteFile(dst, b, 0o644); err != nil {
			return err
		}
		return os.Chmod(dst, info.Mode().Perm()|0o200)
	})
}

// sameTree compares two trees: names, kinds, modes and bytes. It returns how
// many files they have.
func sameTree(a, b string) (int, error) {
	left, err := treeOf(a)
	if err != nil {
		return 0, err
	}
	right, err := treeOf(b)
	if err != nil {
		return 0, err
	}
	files := 0
	for name, info := range left {
		other, ok := right[name]
		if !ok || other.Mode() != info.Mode() {
			return 0, site.Failed.New("%s differs in the copy, or is missing", name)
		}
		if info.IsDir() {
			continue
		}
		files++
		x, err := os.ReadFile(filepath.Join(a, name))
		if err != nil {
			return 0, err
		}
		if y, err := os.ReadFile(filepath.Join(b, name)); err != nil || !bytes.Equal(x, y) {
			return 0, site.Failed.New("%s has other bytes in the copy", name)
		}
	}
	if len(right) != len(left) {
		return 0, site.Failed.New("the copy holds %d things that were never added", len(right)-len(left))
	}
	return files, nil
}

func treeOf(dir string) (map[string]fs.FileInfo, error) {
	all := map[string]fs.FileInfo{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		rel, _ := filepath.Rel(dir, p)
		if rel != "." {
			all[rel] = info
		}
		return err
	})
	return all, err
}
