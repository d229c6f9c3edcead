package xz

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// MaxDict is the largest dictionary that is read, in bytes.
const MaxDict = 64 << 20

// ErrTooLarge is why a file is refused that asks for a dictionary above
// [MaxDict]. It is sound, for all that is known, and was made like that.
var ErrTooLarge = errors.New("the dictionary is too large")

const (
	streamHeaderSize = 12
	maxBlockHeader   = 1024
	lzma2            = 0x21 // filter id
)

var (
	headerMagic = []byte{0xFD, '7', 'z', 'X', 'Z', 0}
	footerMagic = []byte{'Y', 'Z'}
)

// appendStreamHeader appends the 12 bytes that start a stream.
func appendStreamHeader(b []byte, c check) []byte {
	flags := []byte{0, byte(c)}
	b = append(b, headerMagic...)
	b = append(b, flags...)
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(flags))
}

// parseStreamHeader reads the 12 bytes that start a stream.
func parseStreamHeader(b []byte) (check, error) {
	if len(b) != streamHeaderSize || string(b[:6]) != string(headerMagic) {
		return 0, errors.New("xz: not an xz stream")
	}
	if binary.LittleEndian.Uint32(b[8:]) != crc32.ChecksumIEEE(b[6:8]) {
		return 0, errors.New("xz: stream header: wrong checksum")
	}
	c := check(b[7])
	if b[6] != 0 || c.size() < 0 {
		return 0, fmt.Errorf("xz: unknown check %d", b[7])
	}
	return c, nil
}

// appendStreamFooter appends the 12 bytes that end a stream.
func appendStreamFooter(b []byte, c check, indexSize int64) []byte {
	tail := binary.LittleEndian.AppendUint32(nil, uint32(indexSize/4-1))
	tail = append(tail, 0, byte(c))
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(tail))
	b = append(b, tail...)
	return append(b, footerMagic...)
}

// checkStreamFooter demands the one footer that fits the stream.
func checkStreamFooter(b []byte, c check, indexSize int64) error {
	if string(b) != string(appendStreamFooter(nil, c, indexSize)) {
		return errors.New("xz: wrong stream footer")
	}
	return nil
}

// A blockHeader says how one block is packed.
type blockHeader struct {
	packed int64 // length of the LZMA2 data, or -1 if not stated
	plain  int64 // length of the content, or -1 if not stated
	dict   byte  // dictionary size, as LZMA2 encodes it
}

// append appends the header in its shortest form.
func (h blockHeader) append(b []byte) []byte {
	start := len(b)
	b = append(b, 0, 0)
	if h.packed >= 0 {
		b[start+1] |= 0x40
		b = binary.AppendUvarint(b, uint64(h.packed))
	}
	if h.plain >= 0 {
		b[start+1] |= 0x80
		b = binary.AppendUvarint(b, uint64(h.plain))
	}
	b = append(b, lzma2, 1, h.dict)
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	b[start] = byte((len(b) - start) / 4)
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
}

// dictCap returns the size of the dictionary in bytes.
func (h blockHeader) dictCap() (int64, error) {
	n, err := lzma.DecodeDictCap(h.dict)
	if err != nil || h.dict > 40 {
		return 0, errors.New("xz: block header: impossible dictionary")
	}
	if n > MaxDict {
		return 0, fmt.Errorf("xz: dictionary of %d MiB; the limit is %d: %w", n>>20, MaxDict>>20, ErrTooLarge)
	}
	return n, nil
}

// parseBlockHeader reads a whole block header, b[0] being its size byte.
// Dictionaries above [MaxDict] and other filters than LZMA2 are refused.
func parseBlockHeader(b []byte) (blockHeader, error) {
	bad := func(what string) (blockHeader, error) {
		return blockHeader{}, errors.New("xz: block header: " + what)
	}
	if len(b) < 8 || len(b) > maxBlockHeader || len(b) != (int(b[0])+1)*4 || b[0] == 0 {
		return bad("wrong size")
	}
	body := b[:len(b)-4]
	if binary.LittleEndian.Uint32(b[len(body):]) != crc32.ChecksumIEEE(body) {
		return bad("wrong checksum")
	}
	flags := body[1]
	if flags&0x3C != 0 || flags&0x03 != 0 {
		return bad("unknown flags, or more filters than LZMA2")
	}
	h := blockHeader{packed: -1, plain: -1}
	rest := body[2:]
	var err error
	if flags&0x40 != 0 {
		if h.packed, rest, err = cutNumber(rest); err != nil || h.packed == 0 {
			return bad("wrong packed size")
		}
	}
	if flags&0x80 != 0 {
		if h.plain, rest, err = cutNumber(rest); err != nil {
			return bad("wrong plain size")
		}
	}
	if len(rest) < 3 || rest[0] != lzma2 || rest[1] != 1 {
		return bad("unknown filter")
	}
	h.dict = rest[2]
	if !allZero(rest[3:]) {
		return bad("padding that is not zero")
	}
	if _, err := h.dictCap(); err != nil {
		return blockHeader{}, err
	}
	return h, nil
}

var errNumber = errors.New("xz: malformed number")

// cutNumber takes a number of up to 63 bits off b. It has one legal spelling.
func cutNumber(b []byte) (int64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 || n > 9 || n > 1 && b[n-1] == 0 {
		return 0, nil, errNumber
	}
	return int64(v), b[n:], nil
}

// readNumber reads a number as [cutNumber] does and adds its bytes to sum.
func readNumber(r io.ByteReader) (int64, []byte, error) {
	var b []byte
	for len(b) < 9 {
		c, err := r.ReadByte()
		if err != nil {
			return 0, nil, noEOF(err)
		}
		if b = append(b, c); c < 0x80 {
			v, _, err := cutNumber(b)
			return v, b, err
		}
	}
	return 0, nil, errNumber
}

// padding returns how many zero bytes follow n bytes.
func padding(n int64) int { return int(-n & 3) }

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// noEOF turns the end of input into an error where more was expected.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
