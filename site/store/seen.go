package store

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"fardel/site"
)

// A seenFile holds, outside of the engine, the number of the last commit that
// was reported as done. The engine cuts off what it cannot read at the end of
// its log; if that was a commit which somebody has relied upon, this number
// tells.
//
// It is written after each commit but not synced: after a power cut it may be
// behind, never ahead. Two slots are written in turn, so that one is always
// whole.
type seenFile struct {
	f      *os.File
	number uint64
}

const (
	seenMagic = "FDLSEEN1"
	seenSlot  = 4096 // apart: never in one sector or page
	seenLen   = 8 + 8 + len(tag{})
)

func openSeen(dir string) (*seenFile, error) {
	path := filepath.Join(dir, seenName)
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = newSeen(dir, path)
	}
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, site.Failed.New("the state folder %s cannot be used", dir).Because(err)
	}
	s := &seenFile{f: f}
	whole := false
	for slot := range int64(2) {
		b := make([]byte, seenLen)
		if _, err := f.ReadAt(b, slot*seenSlot); err != nil {
			continue
		}
		if t := tagOf("", b[:16]); string(b[:8]) == seenMagic && tag(b[16:]) == t {
			s.number, whole = max(s.number, binary.BigEndian.Uint64(b[8:])), true
		}
	}
	if !whole {
		f.Close()
		return nil, damaged("the number of the last commit cannot be read")
	}
	return s, nil
}

// newSeen makes the file of a new store, with both slots.
func newSeen(dir, path string) error {
	if _, err := os.Lstat(filepath.Join(dir, engineDir, "MANIFEST")); err == nil {
		return damaged("the number of the last commit is missing")
	}
	b := make([]byte, 2*seenSlot)
	copy(b, seenRecord(0))
	copy(b[seenSlot:], seenRecord(0))
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.Write(b)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		err = syncFile(dir)
	}
	if err != nil {
		return site.Failed.New("the state folder %s cannot be written", dir).Because(err)
	}
	return nil
}

func seenRecord(n uint64) []byte {
	b := binary.BigEndian.AppendUint64([]byte(seenMagic), n)
	t := tagOf("", b)
	return append(b, t[:]...)
}

// note sets the number.
func (s *seenFile) note(n uint64) error {
	_, err := s.f.WriteAt(seenRecord(n), int64(n%2)*seenSlot)
	if err == nil {
		s.number = n
	}
	return err
}

func (s *seenFile) sync() error { return s.f.Sync() }
func (s *seenFile) close()      { s.f.Close() }
