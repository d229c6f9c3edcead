package tree

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"fardel/site"
)

// A stamp is what changes when a file does.
type stamp struct {
	info    fs.FileInfo // for os.SameFile only
	size    int64
	mode    fs.FileMode
	written time.Time
	changed int64 // the time that no program can set, where there is one
}

func stampOf(info fs.FileInfo) stamp {
	return stamp{info, info.Size(), info.Mode(), info.ModTime(), changeTime(info)}
}

func (a stamp) equal(b stamp) bool {
	return a.size == b.size && a.mode == b.mode && a.written.Equal(b.written) && a.changed == b.changed &&
		os.SameFile(a.info, b.info)
}

// chunk is how many files one worker takes at a time.
const chunk = 16

// each runs fn over all files and links, a few of one folder at a time, on all
// workers. It ends at the first error, after the workers have.
func (s *scan) each(ctx context.Context, fn func(root *os.Root, dir *folder, from, to int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type job struct {
		dir      *folder
		from, to int
	}
	jobs := make(chan job)
	var group sync.WaitGroup
	for range s.opts.Workers {
		group.Go(func() {
			for j := range jobs {
				if ctx.Err() != nil {
					continue
				}
				if err := s.within(j.dir, func(root *os.Root) error { return fn(root, j.dir, j.from, j.to) }); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, dir := range s.folders {
		if dir.seen == nil {
			dir.seen = make([]stamp, len(dir.items))
		}
		for from := 0; from == 0 || from < len(dir.items); from += chunk {
			jobs <- job{dir, from, min(from+chunk, len(dir.items))}
		}
	}
	close(jobs)
	group.Wait()
	return context.Cause(ctx)
}

// within opens the folder and makes sure that it is still the one listed.
func (s *scan) within(dir *folder, fn func(root *os.Root) error) error {
	if dir.path == "" {
		return fn(s.root)
	}
	root, err := s.root.OpenRoot(dir.path)
	if err != nil {
		return readFault(err, dir.path)
	}
	defer root.Close()
	now, err := root.Stat(".")
	if err != nil {
		return readFault(err, dir.path)
	}
	if !os.SameFile(dir.info, now) {
		return changing(dir.path)
	}
	return fn(root)
}

// add hands files to the library.
func (s *scan) add(root *os.Root, dir *folder, from, to int) error {
	for i := from; i < to; i++ {
		it := &dir.items[i]
		_, name := split(it.Path)
		if it.Type == Link {
			info, err := root.Lstat(name)
			if err != nil {
				return readFault(err, it.Path)
			}
			dir.seen[i] = stampOf(info)
			continue
		}
		if err := s.file(root, name, it, &dir.seen[i]); err != nil {
			return err
		}
		s.mu.Lock()
		s.files++
		s.bytes += it.Size
		s.extraBits(it.Path, dir.seen[i].mode)
		if s.opts.Progress != nil {
			s.opts.Progress(s.files, s.bytes)
		}
		s.mu.Unlock()
	}
	return nil
}

// file adds one file. The name is looked at again after it was opened: what was
// opened must be what stands there, and not what a link led to.
func (s *scan) file(root *os.Root, name string, it *Item, seen *stamp) error {
	f, err := root.OpenFile(name, os.O_RDONLY|noWait, 0)
	if err != nil {
		return readFault(err, it.Path)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return readFault(err, it.Path)
	}
	there, err := root.Lstat(name)
	if err != nil {
		return readFault(err, it.Path)
	}
	if !before.Mode().IsRegular() || !os.SameFile(before, there) {
		return changing(it.Path)
	}
	add := s.opts.Add
	if add == nil {
		add = hashOnly
	}
	d, n, err := add(it.Path, f)
	if err != nil {
		if _, known := errors.AsType[*fs.PathError](err); known {
			return readFault(err, it.Path)
		}
		return err
	}
	after, err := f.Stat()
	if err != nil {
		return readFault(err, it.Path)
	}
	*seen = stampOf(before)
	if !seen.equal(stampOf(after)) || n != before.Size() {
		return changing(it.Path)
	}
	it.Digest, it.Size, it.Mode = d, n, before.Mode().Perm()
	return nil
}

// unchanged looks at files again. The job that begins a folder looks at the
// folder itself too: names may have come or gone.
func (s *scan) unchanged(root *os.Root, dir *folder, from, to int) error {
	if from == 0 {
		now, err := root.Stat(".")
		if err != nil {
			return readFault(err, dir.path)
		}
		if !stampOf(dir.info).equal(stampOf(now)) {
			return changing(dir.path)
		}
	}
	for i := from; i < to; i++ {
		_, name := split(dir.items[i].Path)
		now, err := root.Lstat(name)
		if err != nil {
			return readFault(err, dir.items[i].Path)
		}
		if !dir.seen[i].equal(stampOf(now)) {
			return changing(dir.items[i].Path)
		}
	}
	return nil
}

func changing(path string) error {
	if path == "" {
		path = "the folder"
	}
	return site.Changing.New("%s changed while it was being added", shown(path)).In("nothing was added").
		Then("wait until nothing writes to the folder, then run the same command again")
}

// readFault tells why a path of the tree cannot be read. What was there a
// moment ago and is not now has changed.
func readFault(err error, path string) error {
	if _, ok := errors.AsType[*site.Fault](err); ok {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return changing(path)
	}
	return site.Failed.New("cannot read %s: %v", shown(path), reason(err)).In("nothing was added").Because(err)
}

// reason is the cause of a failed system call, without the path.
func reason(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	if p, ok := errors.AsType[*os.LinkError](err); ok {
		return p.Err
	}
	return err
}

func openFault(err error, dir string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return site.BadUsage.New("there is no folder %s", dir).Because(err)
	}
	return site.Failed.New("cannot open %s: %v", dir, reason(err)).Because(err)
}

func hashOnly(_ string, r io.Reader) (site.Digest, int64, error) {
	var d site.Digest
	h := sha256.New()
	n, err := io.Copy(h, r)
	h.Sum(d[:0])
	return d, n, err
}
