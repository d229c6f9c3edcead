package library

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"

	"fardel/site"
)

// maxParts bounds how many big files one batch completes. Each keeps a
// descriptor open, and a bundle holds parts of a few files at most.
const maxParts = 256

// A part is a big file that arrives in several batches. Its bytes are written
// in place below partial; which of them count is recorded at Commit. Bytes that
// count are never written again: a part of a bundle that proves bad at its end
// cannot spoil what came before.
type part struct {
	mu       sync.Mutex
	root     *root
	file     *os.File // locked, so that two batches never write one file
	size     int64
	have     spans
	record   string // the record of have, before it gets its name
	complete bool   // everything is here, and the digest is right
}

// ReceivePart takes a part of a big file: length bytes of r, which belong at
// this offset of the file d of size bytes. The rules are those of
// [Batch.Receive], except that only the digest of the whole is known: it is
// checked when the last part has come. If it is wrong, everything of the file
// is thrown away, and the fault is of class [site.Damaged].
func (b *Batch) ReceivePart(d site.Digest, size, offset int64, r io.Reader, length int64) error {
	if err := b.usable(); err != nil {
		return err
	}
	if b.wants == nil || !b.wants(d) {
		return ErrUnwanted
	}
	if !site.InRange(size) || !site.InRange(offset) || length < 1 || offset > size || length > size-offset {
		return site.Damaged.New("file %s of %d bytes has no part of %d bytes at %d", d.Short(), size, length, offset)
	}
	if b.present(d, size) {
		return nil
	}
	p, err := b.part(d, size)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.size != size {
		return site.Damaged.New("file %s was announced with %d bytes and with %d", d.Short(), p.size, size)
	}
	if p.complete {
		return nil
	}
	if err := p.write(b.lib.disk, offset, r, length); err != nil {
		return err
	}
	if p.have.add(span{offset, offset + length}); len(p.have) > maxSpans {
		return site.Damaged.New("file %s comes in more than %d scattered parts", d.Short(), maxSpans)
	}
	b.mu.Lock()
	b.stats.Parts++
	b.mu.Unlock()
	if p.have.covers(size) {
		return b.finish(d, p)
	}
	return nil
}

// write puts exactly length bytes of r to their place, except where the file
// has them already.
func (p *part) write(k disk, offset int64, r io.Reader, length int64) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for done := int64(0); ; {
		n, end, err := fill(r, *buf)
		if err != nil {
			return err
		}
		if done+int64(n) > length || end && done+int64(n) < length {
			return site.Damaged.New("a part does not have the %d bytes announced", length)
		}
		for _, gap := range p.have.missing(span{offset + done, offset + done + int64(n)}) {
			at := gap.from - offset - done
			if err := k.writeAt(p.file, (*buf)[at:at+gap.to-gap.from], gap.from); err != nil {
				return fault(err, "write", p.file.Name())
			}
		}
		done += int64(n)
		if end {
			if length > bigFile {
				startWriting(p.file)
			}
			return nil
		}
	}
}

// finish compares the digest of the whole.
func (b *Batch) finish(d site.Digest, p *part) error {
	got, n, err := digestOf(io.NewSectionReader(p.file, 0, p.size))
	if err != nil {
		return fault(err, "read", p.file.Name())
	}
	if got == d && n == p.size {
		p.complete = true
		b.mu.Lock()
		b.stats.Files++
		b.stats.Bytes += p.size
		b.mu.Unlock()
		return nil
	}
	p.have = nil
	if err := p.root.drop(b.lib.disk, d); err != nil {
		return fault(err, "remove", p.file.Name())
	}
	b.mu.Lock()
	delete(b.parts, d)
	b.mu.Unlock()
	p.file.Close()
	return site.Damaged.New("the parts of file %s do not make up the file", d.Short()).
		In("they were thrown away").
		Then("ask the sender to export the package again")
}

// part returns the big file, opened and locked by this batch.
func (b *Batch) part(d site.Digest, size int64) (*part, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return nil, errEnded
	}
	if p, ok := b.parts[d]; ok {
		return p, nil
	}
	if len(b.parts) >= maxParts {
		return nil, site.Damaged.New("a bundle holds parts of more than %d files", maxParts)
	}
	p, err := b.lib.openPart(d, size)
	if err == nil {
		b.parts[d] = p
	}
	return p, err
}

func (l *Library) openPart(d site.Digest, size int64) (*part, error) {
	name := d.String()
	r, err := l.rootOfPart(name, size)
	if err != nil {
		return nil, err
	}
	path := r.partial(name)
	f, err := l.disk.openPartial(path)
	if err != nil {
		return nil, fault(err, "open", path)
	}
	held, err := tryLock(f)
	if err == nil && (!held || !sameFile(f, path)) {
		f.Close()
		return nil, site.Locked.New("file %s is being received already", d.Short())
	}
	p := &part{root: r, file: f, size: size}
	if p.have, err = l.readRanges(r, name, f, size); err == nil && p.have == nil {
		// What no record vouches for is forgotten.
		if err = l.disk.truncate(f, 0); err == nil {
			err = l.disk.truncate(f, size)
		}
	}
	if err != nil {
		f.Close()
		return nil, fault(err, "prepare", path)
	}
	return p, nil
}

// rootOfPart returns the root that has parts of the file, or one with room.
func (l *Library) rootOfPart(name string, size int64) (*root, error) {
	for _, r := range l.roots {
		if _, err := os.Lstat(r.partial(name)); err == nil {
			return r, nil
		}
	}
	return l.pick(size)
}

// readRanges returns which bytes of the file count. A record that is missing or
// does not fit the file counts for nothing and is removed.
func (l *Library) readRanges(r *root, name string, f *os.File, size int64) (spans, error) {
	path := r.ranges(name)
	text, err := readSmall(path, maxSpans*48)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	have, recorded, err := parseRanges(text)
	if err == nil && recorded == size && st.Size() == size {
		return have, nil
	}
	return nil, l.disk.remove(path)
}

// readSmall reads a file of at most max bytes; a longer one is cut off.
func readSmall(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, max))
}

// Partial returns how many bytes of a big file have arrived in parts, and how
// many it has; both are 0 if none have.
func (l *Library) Partial(d site.Digest) (have, size int64) {
	for _, r := range l.roots {
		text, err := readSmall(r.ranges(d.String()), maxSpans*48)
		if err != nil {
			continue
		}
		list, size, err := parseRanges(text)
		if err != nil {
			continue
		}
		for _, s := range list {
			have += s.to - s.from
		}
		return have, size
	}
	return 0, 0
}
