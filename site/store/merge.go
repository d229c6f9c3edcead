package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"google.golang.org/protobuf/proto"

	"fardel/site"
)

// The engine adds a table each time that it is closed or has filled its memory,
// and would merge tables by itself in the background. We do not let it: when a
// merged table cannot be written, it drops the old ones all the same, and one
// failed system call would cost records that were reported as done. So tables
// are merged when the store is opened, before anybody has changed anything, with
// a copy of the old ones kept aside until every record was seen again. A merge
// that fails, or is interrupted, is undone.

const (
	asideDir   = "aside"     // the old tables and their list, complete
	manyTables = 8           // from so many on, they are merged
	asideNew   = ".new"      // being filled
	asideOld   = ".finished" // not needed any more
)

// tables is what the engine's list says.
type tables struct {
	size  int64
	fresh int // tables that have not been merged yet
}

// setAside copies all tables, and the list of them.
func setAside(dir string) error {
	engine, aside := filepath.Join(dir, engineDir), filepath.Join(dir, asideDir)
	if err := os.Mkdir(aside+asideNew, 0o700); err != nil {
		return err
	}
	if err := copyTables(aside+asideNew, engine); err != nil {
		return err
	}
	if err := os.Rename(aside+asideNew, aside); err != nil {
		return err
	}
	return syncFile(dir)
}

// copyTables copies tables first and their list last, durably.
func copyTables(dst, src string) error {
	names, err := filepath.Glob(filepath.Join(src, "*.sst"))
	if err != nil {
		return err
	}
	for _, path := range append(names, filepath.Join(src, badger.ManifestFilename)) {
		if err := copyFile(filepath.Join(dst, filepath.Base(path)), path); err != nil {
			return err
		}
	}
	return syncFile(dst)
}

func copyFile(dst, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst+asideNew, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(dst+asideNew, dst)
}

// dropAside forgets the copies.
func dropAside(dir string) error {
	aside := filepath.Join(dir, asideDir)
	err := os.Rename(aside, aside+asideOld)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(syncFile(dir), os.RemoveAll(aside+asideOld), os.RemoveAll(aside+asideNew))
}

// undoMerge brings back what a merge that did not come to its end has changed.
// It can be interrupted, and is then done again.
func undoMerge(dir string, untouched bool) error {
	engine, aside := filepath.Join(dir, engineDir), filepath.Join(dir, asideDir)
	_, err := os.Lstat(aside)
	if err == nil && !untouched {
		err = restoreTables(engine, aside)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return site.Failed.New("the record files in %s cannot be put back as they were", dir).
			In("Nothing is lost: they are in %s", aside).Then("Make room on the disk, or repair it, and run again.").Because(err)
	}
	return dropAside(dir)
}

func restoreTables(engine, aside string) error {
	if err := copyTables(engine, aside); err != nil {
		return err
	}
	names, err := os.ReadDir(engine)
	if err != nil {
		return err
	}
	for _, n := range names {
		if !strings.HasSuffix(n.Name(), ".sst") {
			continue
		}
		if _, err := os.Lstat(filepath.Join(aside, n.Name())); errors.Is(err, fs.ErrNotExist) {
			if err := os.Remove(filepath.Join(engine, n.Name())); err != nil {
				return err
			}
		}
	}
	return syncFile(engine)
}

// mayMerge reports whether tables are to be merged now: there are many, and
// there is room for the copies and the merged ones.
func (s *Store) mayMerge(have tables, left *inventory) bool {
	return left != nil && have.fresh >= manyTables && s.room.check(2*have.size) == nil
}

// merge has the engine merge its tables, and looks at every record afterwards.
// The old tables have been set aside.
func (s *Store) merge() error {
	db := s.db
	err := s.hope.wait(func() error {
		before := fingerprint(db)
		if err := db.Flatten(1); err != nil {
			return err
		}
		if fingerprint(db) != before {
			return damaged("merging the record files has lost some of them")
		}
		return nil
	})
	if err == nil {
		return dropAside(s.dir)
	}
	s.db = nil
	if closed := s.hope.wait(db.Close); errors.Is(closed, errStuck) {
		s.left = true
		return site.Failed.New("the disk under %s does not take what is written", s.dir).
			In("Nothing was changed").Then("Look at the disk, and run again.").Because(errors.Join(err, closed))
	}
	if err := undoMerge(s.dir, false); err != nil {
		return err
	}
	s.db, err = openEngine(filepath.Join(s.dir, engineDir), s.hope)
	return err
}

// fingerprint sums up all records of the engine: their keys, and when each was
// written. It is worth something in this process only.
func fingerprint(db *badger.DB) (sum [2]uint64) {
	txn := db.NewTransaction(false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		var h maphash.Hash
		h.SetSeed(seed)
		h.Write(it.Item().Key())
		maphash.WriteComparable(&h, it.Item().Version())
		sum[0]++
		sum[1] += h.Sum64()
	}
	return sum
}

var seed = maphash.MakeSeed()

// dropGhosts takes tables off the engine's list that it has put there and then
// deleted, because the list could not be synced. It has written what was in them
// again, or still has it in its log. It must not be called while the engine
// writes.
func dropGhosts(dir string) error {
	path := filepath.Join(dir, badger.ManifestFilename)
	list, err := readManifest(path)
	if err != nil {
		return err
	}
	var gone []uint64
	for id := range list.Tables {
		if _, err := os.Lstat(table.NewFilename(id, dir)); errors.Is(err, fs.ErrNotExist) {
			gone = append(gone, id)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	record, err := deletions(gone)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(record)
	return errors.Join(err, f.Sync(), f.Close())
}

// deletions spells the record of the list that takes tables off it.
func deletions(ids []uint64) ([]byte, error) {
	var set pb.ManifestChangeSet
	for _, id := range ids {
		set.Changes = append(set.Changes, &pb.ManifestChange{Id: id, Op: pb.ManifestChange_DELETE})
	}
	b, err := proto.Marshal(&set)
	head := binary.BigEndian.AppendUint32(nil, uint32(len(b)))
	head = binary.BigEndian.AppendUint32(head, crc32.Checksum(b, castagnoli))
	return append(head, b...), err
}

func readManifest(path string) (list badger.Manifest, err error) {
	f, err := os.Open(path)
	if err != nil {
		return list, err
	}
	defer f.Close()
	err = protect(func() (err error) {
		list, _, err = badger.ReplayManifestFile(f, 0, engineOptions(filepath.Dir(path), nil))
		return err
	})
	if err != nil {
		err = fmt.Errorf("%s: %w", badger.ManifestFilename, err)
	}
	return list, err
}
