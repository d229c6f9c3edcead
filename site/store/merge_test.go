package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"google.golang.org/protobuf/proto"

	"fardel/site"
)

// grown makes a store with several tables: some records are written once, one
// again and again.
func grown(t *testing.T, dir string, closings int) (want string) {
	t.Helper()
	for i := range closings {
		s := openAt(t, dir)
		ok(t, s.Update(put(fmt.Sprintf("k/%d", i), "once")))
		ok(t, s.Update(put("k/same", fmt.Sprint(i))))
		want = contents(t, s)
		ok(t, s.Close())
	}
	return want
}

// blockTables stands in the way of every new table.
func blockTables(t *testing.T, dir string) (unblock func()) {
	t.Helper()
	var made []string
	for i := range 500 {
		path := filepath.Join(dir, engineDir, fmt.Sprintf("%06d.sst", i))
		if err := os.Mkdir(path, 0o700); err == nil {
			made = append(made, path)
		} else if !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
	return func() {
		for _, path := range made {
			os.Remove(path)
		}
	}
}

func listed(t *testing.T, dir string) tables {
	t.Helper()
	have, err := checkTables(filepath.Join(dir, engineDir), true)
	ok(t, err)
	return have
}

func noAside(t *testing.T, dir string) {
	t.Helper()
	if found, _ := filepath.Glob(filepath.Join(dir, asideDir+"*")); len(found) > 0 {
		t.Errorf("left behind: %v", found)
	}
}

func TestTablesAreMerged(t *testing.T) {
	dir := tempDir(t)
	want := grown(t, dir, 3*manyTables)
	if have := listed(t, dir); have.fresh > manyTables {
		t.Errorf("%d tables wait to be merged", have.fresh)
	}
	noAside(t, dir)
	s := openAt(t, dir)
	verify(t, s)
	if got := contents(t, s); got != want {
		t.Errorf("merging changed\n%s\ninto\n%s", want, got)
	}
}

// The engine drops the old tables even if it could not write the merged one.
func TestMergeThatFailsIsUndone(t *testing.T) {
	dir := tempDir(t)
	want := grown(t, dir, 4)
	s := openAt(t, dir)
	ok(t, setAside(dir))
	unblock := blockTables(t, dir)
	before := fingerprint(s.db)
	ok(t, s.db.Flatten(1))
	if fingerprint(s.db) == before {
		t.Fatal("the engine has kept everything: merging in the background could be allowed again")
	}
	unblock()
	ok(t, s.hope.wait(s.db.Close))
	ok(t, undoMerge(dir, false))
	s.db = nil
	s.release()
	s = openAt(t, dir)
	verify(t, s)
	if got := contents(t, s); got != want {
		t.Errorf("%s\nbecame\n%s", want, got)
	}
	noAside(t, dir)
}

// The same through the door that Open uses.
func TestMergeNoticesWhatIsMissing(t *testing.T) {
	dir := tempDir(t)
	want := grown(t, dir, 4)
	s := openAt(t, dir)
	ok(t, setAside(dir))
	unblock := blockTables(t, dir)
	ok(t, s.merge())
	unblock()
	verify(t, s)
	if got := contents(t, s); got != want {
		t.Errorf("%s\nbecame\n%s", want, got)
	}
	ok(t, s.Update(put("k/after", "works on")))
}

// Whatever an interrupted merge has left: the next Open puts it right.
func TestInterruptedMergeIsUndone(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, engine string){
		"nothing yet":     func(*testing.T, string) {},
		"tables are gone": func(t *testing.T, engine string) { removeAll(t, engine, "*.sst") },
		"all is gone": func(t *testing.T, engine string) {
			removeAll(t, engine, "*.sst")
			removeAll(t, engine, badger.ManifestFilename)
		},
		"half a table": func(t *testing.T, engine string) {
			ok(t, os.WriteFile(filepath.Join(engine, "000099.sst"), []byte("half"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tempDir(t)
			want := grown(t, dir, 4)
			ok(t, setAside(dir))
			ok(t, removeInventory(dir))
			harm(t, filepath.Join(dir, engineDir))
			s := openAt(t, dir)
			verify(t, s)
			if got := contents(t, s); got != want {
				t.Errorf("%s\nbecame\n%s", want, got)
			}
			noAside(t, dir)
		})
	}
}

func removeAll(t *testing.T, dir, pattern string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	ok(t, err)
	for _, path := range found {
		ok(t, os.Remove(path))
	}
}

// The engine puts a table on its list, cannot sync the list, deletes the table
// and writes another one: the first stays on the list.
func TestGhostsAreDropped(t *testing.T) {
	dir := tempDir(t)
	want := grown(t, dir, 2)
	engine := filepath.Join(dir, engineDir)
	record, err := proto.Marshal(&pb.ManifestChangeSet{Changes: []*pb.ManifestChange{{Id: 77, Op: pb.ManifestChange_CREATE}}})
	ok(t, err)
	head := binary.BigEndian.AppendUint32(nil, uint32(len(record)))
	head = binary.BigEndian.AppendUint32(head, crc32.Checksum(record, castagnoli))
	f, err := os.OpenFile(filepath.Join(engine, badger.ManifestFilename), os.O_APPEND|os.O_WRONLY, 0)
	ok(t, err)
	_, err = f.Write(append(head, record...))
	ok(t, errors.Join(err, f.Close()))
	if _, err := checkTables(engine, true); !errors.Is(err, site.StateDamaged) {
		t.Fatalf("a table is missing, and nobody says so: %v", err)
	}
	ok(t, dropGhosts(engine))
	ok(t, removeInventory(dir))
	s := openAt(t, dir)
	verify(t, s)
	if got := contents(t, s); got != want {
		t.Errorf("%s\nbecame\n%s", want, got)
	}
}
