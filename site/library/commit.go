package library

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"fardel/site"
)

// Commit makes the files of the batch visible and durable. Whether it succeeds
// or fails, the batch has ended. After a failure some of the files may be
// visible; none of them is wrong, and the same batch may be run again.
func (b *Batch) Commit() error {
	b.mu.Lock()
	if b.ended || b.broken != nil {
		err := b.broken
		b.mu.Unlock()
		if err == nil {
			err = errEnded
		}
		return err
	}
	b.ended = true
	b.mu.Unlock()
	defer b.clean()

	// One at a time: a commit must not take for durable what another has only
	// just renamed.
	b.lib.committing.Lock()
	defer b.lib.committing.Unlock()
	if err := b.record(); err != nil {
		return err
	}
	for _, r := range b.lib.roots {
		if err := b.flushContent(r); err != nil {
			return err
		}
	}
	if err := b.publish(); err != nil {
		return err
	}
	for _, r := range b.lib.roots {
		if err := b.flushNames(r); err != nil {
			return err
		}
	}
	b.forget()
	return nil
}

// Abort gives the batch up. After Commit it does nothing, so that it may be
// deferred.
func (b *Batch) Abort() {
	b.mu.Lock()
	ended := b.ended
	b.ended = true
	b.mu.Unlock()
	if !ended {
		b.clean()
	}
}

// clean removes what has no name. Where it cannot, the next Open does.
func (b *Batch) clean() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.staged {
		b.lib.disk.remove(s.path)
	}
	for _, p := range b.parts {
		if p.record != "" {
			b.lib.disk.remove(p.record)
		}
		p.file.Close()
	}
	for _, f := range b.sync {
		f.Close()
	}
}

// record writes the records of files of which parts are still missing.
func (b *Batch) record() error {
	for _, p := range b.parts {
		if p.complete || len(p.have) == 0 {
			continue
		}
		path := b.lib.temporary(p.root)
		f, err := b.lib.disk.create(path)
		if err != nil {
			return fault(err, "create", path)
		}
		p.record = path
		err = b.lib.disk.writeAt(f, p.have.encode(p.size), 0)
		if err := errors.Join(err, f.Close()); err != nil {
			return fault(err, "write", path)
		}
	}
	return nil
}

// flushContent brings the bytes to the disk, before they get their names.
func (b *Batch) flushContent(r *root) error {
	var paths []string
	for _, s := range b.staged {
		if s.root == r {
			paths = append(paths, s.path)
		}
	}
	for d, p := range b.parts {
		if p.root == r {
			paths = append(paths, r.partial(d.String()))
			if p.record != "" {
				paths = append(paths, p.record)
			}
		}
	}
	if len(paths) == 0 {
		return nil
	}
	return b.flush(r, paths)
}

// publish gives everything its name.
func (b *Batch) publish() error {
	k := b.lib.disk
	for d, s := range b.staged {
		to := s.root.file(d.String())
		s.root.unsettled.Store(true)
		if err := k.rename(s.path, to); err != nil {
			return fault(err, "create", to)
		}
	}
	for d, p := range b.parts {
		from, to := p.record, p.root.ranges(d.String())
		if p.complete {
			from, to = p.root.partial(d.String()), p.root.file(d.String())
			if err := p.file.Chmod(0o400); err != nil {
				return fault(err, "create", to)
			}
		}
		if from == "" {
			continue
		}
		p.root.unsettled.Store(true)
		if err := k.rename(from, to); err != nil {
			return fault(err, "create", to)
		}
	}
	return nil
}

// flushNames makes the names durable: those that the batch gave, and those that
// it found and relied on.
func (b *Batch) flushNames(r *root) error {
	if !r.unsettled.Load() {
		return nil
	}
	dirs := map[string]bool{}
	note := func(d site.Digest, at *root) {
		if at == r {
			dirs[filepath.Dir(r.file(d.String()))] = true
		}
	}
	for d, s := range b.staged {
		note(d, s.root)
	}
	for d, p := range b.parts {
		note(d, p.root)
	}
	for d, at := range b.kept {
		note(d, at)
	}
	if len(dirs) == 0 {
		return nil
	}
	paths := []string{filepath.Join(r.path, "files"), filepath.Join(r.path, "partial")}
	for dir := range dirs {
		paths = append(paths, dir)
	}
	if err := b.flush(r, paths); err != nil {
		return err
	}
	if r.sync {
		r.unsettled.Store(false)
	}
	return nil
}

func (b *Batch) flush(r *root, paths []string) error {
	return r.flush(b.lib.disk, b.sync[r], paths)
}

// flush flushes the root's file system, on which dir was opened, or these files
// and folders one by one.
func (r *root) flush(k disk, dir *os.File, paths []string) error {
	if r.sync {
		err := k.syncfs(dir)
		if !errors.Is(err, errNoSyncfs) {
			if err != nil {
				return fault(err, "flush", r.path)
			}
			return nil
		}
		r.sync = false
	}
	for _, path := range paths {
		err := k.fsync(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault(err, "flush", path)
		}
	}
	return nil
}

// forget removes what had arrived in parts of files that are complete now. It
// comes last: a power cut must not leave the record gone and the file without
// its name. What it cannot remove, Open sweeps.
func (b *Batch) forget() {
	for _, r := range b.lib.roots {
		list, _ := r.partials()
		for _, d := range list {
			p, ok := b.parts[d]
			if _, whole := b.staged[d]; whole || ok && p.complete {
				r.drop(b.lib.disk, d)
			}
		}
	}
}
