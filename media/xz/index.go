package xz

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"io"
)

// A tally remembers the blocks of a stream to compare them with its index. It
// keeps a hash of them, because a hostile file can have a block in twenty bytes.
type tally struct {
	blocks int64
	sum    hash.Hash
}

func newTally() tally { return tally{sum: sha256.New()} }

// add counts a block: its length without padding and that of its content.
func (t *tally) add(unpadded, plain int64) {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(unpadded))
	binary.LittleEndian.PutUint64(b[8:], uint64(plain))
	t.sum.Write(b[:])
	t.blocks++
}

var errIndex = errors.New("xz: the index does not fit the blocks")

// readIndex reads an index, whose first byte was read, and demands that it lists
// exactly the blocks of the tally. It returns the length of the index in bytes.
func (t *tally) readIndex(r byteReader) (int64, error) {
	crc := crc32.NewIEEE()
	crc.Write([]byte{0})
	size := int64(1)
	number := func() (int64, error) {
		v, b, err := readNumber(r)
		crc.Write(b)
		size += int64(len(b))
		return v, err
	}
	count, err := number()
	if err != nil {
		return 0, err
	}
	if count != t.blocks {
		return 0, errIndex
	}
	listed := newTally()
	for range count {
		unpadded, err := number()
		if err != nil {
			return 0, err
		}
		plain, err := number()
		if err != nil {
			return 0, err
		}
		listed.add(unpadded, plain)
	}
	pad := padding(size)
	b := make([]byte, pad+4)
	if _, err := io.ReadFull(r, b); err != nil {
		return 0, noEOF(err)
	}
	if !allZero(b[:pad]) {
		return 0, errIndex
	}
	crc.Write(b[:pad])
	if binary.LittleEndian.Uint32(b[pad:]) != crc.Sum32() {
		return 0, errors.New("xz: index: wrong checksum")
	}
	if string(listed.sum.Sum(nil)) != string(t.sum.Sum(nil)) {
		return 0, errIndex
	}
	return size + int64(pad) + 4, nil
}

// byteReader is what a bufio.Reader offers.
type byteReader interface {
	io.Reader
	io.ByteReader
}
