package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"fardel/site"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// An inventory is what Close noted about the engine's files. The engine takes a
// damaged end of a log or of its manifest for the trace of a crash, and cuts it
// off; after a Close in good order there was no crash.
type inventory struct {
	commits uint64
	files   map[string]string // name → "SIZE CRC" or "SIZE -"
}

const inventoryHead = "fardel store closed v1"

func (v *inventory) number() uint64 {
	if v == nil {
		return 0
	}
	return v.commits
}

// takeInventory describes the files of the folder. Tables have checksums of
// their own, and each value has that of its record; the rest, and the last
// value log, which the engine looks at when it opens, are summed up here.
func takeInventory(dir string) (map[string]string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var last string
	for _, e := range list {
		if strings.HasSuffix(e.Name(), ".vlog") {
			last = e.Name() // ReadDir sorts, and the names are numbers of one length
		}
	}
	files := map[string]string{}
	for _, e := range list {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		sum := "-"
		if name := e.Name(); name == last || !strings.HasSuffix(name, ".vlog") && !strings.HasSuffix(name, ".sst") {
			if sum, err = sumFile(filepath.Join(dir, name)); err != nil {
				return nil, err
			}
		}
		files[e.Name()] = fmt.Sprintf("%d %s", info.Size(), sum)
	}
	return files, nil
}

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := crc32.New(castagnoli)
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%08x", h.Sum32()), nil
}

// writeInventory is the last thing that Close does. The files are made durable
// first, as they are now: the engine syncs what it writes, but not the length to
// which it cuts its files afterwards.
func writeInventory(dir string, commits uint64) error {
	files, err := takeInventory(filepath.Join(dir, engineDir))
	if err != nil {
		return err
	}
	for name := range files {
		if err := syncFile(filepath.Join(dir, engineDir, name)); err != nil {
			return err
		}
	}
	if err := syncFile(filepath.Join(dir, engineDir)); err != nil {
		return err
	}
	path := filepath.Join(dir, closedName)
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write((&inventory{commits, files}).encode())
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncFile(dir)
}

// readInventory returns nil if the store was not closed in good order.
func readInventory(dir string) (*inventory, error) {
	b, err := os.ReadFile(filepath.Join(dir, closedName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	bad := damaged("the note about the last closing of the state is not as it was written")
	if err != nil {
		return nil, bad.Because(err)
	}
	v, err := parseInventory(b)
	if errors.Is(err, errInventory) {
		return nil, bad
	}
	return v, err
}

var errInventory = errors.New("malformed inventory")

func withSum(text []byte) []byte { return fmt.Appendf(text, "%s\n", site.DigestOf(text)) }

func (v *inventory) encode() []byte {
	text := fmt.Appendf(nil, "%s\n%d\n", inventoryHead, v.commits)
	for _, name := range slices.Sorted(maps.Keys(v.files)) {
		text = fmt.Appendf(text, "%s %s\n", v.files[name], name)
	}
	return withSum(text)
}

func parseInventory(b []byte) (*inventory, error) {
	const tail = 65 // a digest and a line end
	if len(b) < tail || !bytes.Equal(withSum(bytes.Clone(b[:len(b)-tail])), b) {
		return nil, errInventory
	}
	lines := strings.Split(string(b[:len(b)-tail]), "\n")
	if lines[0] != inventoryHead {
		return nil, site.TooNew.New("the state was last used by a newer fardel").In("Nothing was changed")
	}
	if len(lines) < 3 {
		return nil, errInventory
	}
	n, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil {
		return nil, errInventory
	}
	v := &inventory{n, map[string]string{}}
	for _, line := range lines[2 : len(lines)-1] {
		parts := strings.SplitN(line, " ", 3)
		if len(parts) != 3 {
			return nil, errInventory
		}
		v.files[parts[2]] = parts[0] + " " + parts[1]
	}
	if !bytes.Equal(v.encode(), b) {
		return nil, errInventory
	}
	return v, nil
}

// check compares the files with the inventory.
func (v *inventory) check(dir string) error {
	if v == nil {
		return nil
	}
	now, err := takeInventory(dir)
	if err != nil {
		return damaged("the record files in %s cannot be read", dir).Because(err)
	}
	for name, was := range v.files {
		if is, ok := now[name]; !ok {
			return damaged("the record file %s is missing", name)
		} else if is != was {
			return damaged("the record file %s is not as it was left", name)
		}
		delete(now, name)
	}
	for name := range now {
		if ext := filepath.Ext(name); ext == ".vlog" || ext == ".mem" || ext == ".sst" {
			return damaged("the record file %s does not belong here", name)
		}
	}
	return nil
}

func removeInventory(dir string) error {
	err := os.Remove(filepath.Join(dir, closedName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncFile(dir)
	}
	if err != nil {
		return site.Failed.New("the state folder %s cannot be written", dir).Because(err)
	}
	return nil
}

// syncFile makes a file, or the names in a folder, durable.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// checkTables checks every block of the tables that the engine's manifest
// names, and returns how many there are. It does so before the engine opens them: the
// engine either does not look, or ends the process on what it finds.
func checkTables(dir string, used bool) (have tables, err error) {
	list, err := readManifest(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) && !used {
		return have, nil // a new store
	}
	if err != nil {
		return have, damaged("the list of the record files is not as it was written").Because(shorten(err))
	}
	// A disk that fails while a table is read shall be an error.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	for id, t := range list.Tables {
		path := table.NewFilename(id, dir)
		var n int64
		err := protect(func() (err error) {
			n, err = checkTable(path)
			return err
		})
		if err != nil {
			return have, damaged("the record file %s is not as it was written", filepath.Base(path)).Because(shorten(err))
		}
		have.size += n
		if t.Level == 0 {
			have.fresh++
		}
	}
	return have, nil
}

var errTable = errors.New("malformed table")

// checkTable checks one table, which ends with: index, length of the index,
// checksum of the index, length of that checksum. The index says where the
// blocks are, and each block ends with: number of entries, checksum, length of
// the checksum.
func checkTable(path string) (int64, error) {
	b, err := mapFile(path)
	if err != nil {
		return 0, err
	}
	defer unix.Munmap(b)
	rest, sum, err := cutLast(b)
	if err != nil {
		return 0, err
	}
	rest, index, err := cutLast(rest)
	if err != nil {
		return 0, err
	}
	if err := checkSum(index, sum); err != nil {
		return 0, err
	}
	ti := fb.GetRootAsTableIndex(index, 0)
	var next int64
	for i := range ti.OffsetsLength() {
		var at fb.BlockOffset
		if !ti.Offsets(&at, i) || int64(at.Offset()) != next {
			return 0, errTable
		}
		next += int64(at.Len())
		if next > int64(len(rest)) {
			return 0, errTable
		}
		block, sum, err := cutLast(rest[at.Offset():next])
		if err != nil {
			return 0, err
		}
		if err := checkSum(block, sum); err != nil {
			return 0, err
		}
	}
	if next != int64(len(rest)) {
		return 0, errTable
	}
	return int64(len(b)), nil
}

// mapFile maps a file, so that looking at all tables takes no memory.
func mapFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() < 8 || st.Size() > 1<<31 {
		return nil, errTable
	}
	return unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
}

// cutLast takes a last part, which its length follows, off b.
func cutLast(b []byte) (rest, last []byte, err error) {
	if len(b) < 4 {
		return nil, nil, errTable
	}
	n := binary.BigEndian.Uint32(b[len(b)-4:])
	b = b[:len(b)-4]
	if int64(n) > int64(len(b)) {
		return nil, nil, errTable
	}
	cut := len(b) - int(n)
	return b[:cut], b[cut:], nil
}

func checkSum(data, sum []byte) error {
	var want pb.Checksum
	if err := proto.Unmarshal(sum, &want); err != nil {
		return err
	}
	return y.VerifyChecksum(data, &want)
}
