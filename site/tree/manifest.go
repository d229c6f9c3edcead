package tree

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"

	"fardel/site"
)

const manifestHead = "fardel manifest v1"

// maxLine bounds a line: both texts with every byte escaped, and the rest.
const maxLine = 6*(maxPath+maxTarget) + 128

// WriteManifest writes the items as a manifest. They must be sorted and
// complete as [Scan] returns them; otherwise nothing more is written and the
// error tells which item is wrong.
func WriteManifest(w io.Writer, items []Item) error {
	buf := bufio.NewWriterSize(w, 1<<16)
	buf.WriteString(manifestHead + "\n")
	var c checker
	var line []byte
	for _, it := range items {
		if err := c.check(it); err != nil {
			return err
		}
		line = appendItem(line[:0], it)
		if _, err := buf.Write(line); err != nil {
			return err
		}
	}
	return buf.Flush()
}

func appendItem(b []byte, it Item) []byte {
	b = append(b, byte(it.Type), ' ')
	switch it.Type {
	case Dir, File:
		m := it.Mode
		b = append(b, '0'+byte(m>>6&7), '0'+byte(m>>3&7), '0'+byte(m&7), ' ')
	case Link:
		b = append(quote(b, it.Target), ' ')
	case Note:
		b = append(quote(b, it.Note), ' ')
	}
	if it.Type == File {
		b = append(b, it.Digest.String()...)
		b = append(b, ' ')
		b = strconv.AppendInt(b, it.Size, 10)
		b = append(b, ' ')
	}
	return append(quote(b, it.Path), '\n')
}

// ReadManifest reads a manifest of at most max bytes, item by item. It yields
// an error, as the last thing, unless the text is exactly what [WriteManifest]
// writes; the items before it must not be relied on.
func ReadManifest(r io.Reader, max int64) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		in := &manifestReader{rest: max}
		in.buf = bufio.NewReaderSize(r, maxLine)
		head, err := in.line()
		if err == nil && string(head) != manifestHead {
			err = errors.New("the first line is not that of a manifest")
		}
		var c checker
		for n := 2; err == nil; n++ {
			var line []byte
			if line, err = in.line(); err == io.EOF {
				return
			}
			var it Item
			if err == nil {
				it, err = parseItem(line)
			}
			if err == nil {
				err = c.check(it)
			}
			if err != nil {
				err = fmt.Errorf("line %d: %w", n, err)
			} else if !yield(it, nil) {
				return
			}
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		yield(Item{}, fmt.Errorf("manifest: %w", err))
	}
}

type manifestReader struct {
	buf  *bufio.Reader
	rest int64 // bytes that may still come
}

// line returns the next line without its end; io.EOF means that there is none.
func (m *manifestReader) line() ([]byte, error) {
	line, err := m.buf.ReadSlice('\n')
	if m.rest -= int64(len(line)); m.rest < 0 {
		return nil, errors.New("longer than it may be")
	}
	switch {
	case err == nil:
		return line[:len(line)-1], nil
	case err == io.EOF && len(line) > 0:
		return nil, errors.New("the last line has no end")
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errors.New("the line is too long")
	}
	return nil, err
}

var errLine = errors.New("not a line of a manifest")

// parseItem reads a line in its one legal spelling.
func parseItem(line []byte) (Item, error) {
	var it Item
	if len(line) < 2 || line[1] != ' ' {
		return it, errLine
	}
	it.Type = Type(line[0])
	rest, err := line[2:], error(nil)
	switch it.Type {
	case Dir:
		it.Mode, rest, err = parseMode(rest)
	case File:
		if it.Mode, rest, err = parseMode(rest); err == nil {
			it.Digest, it.Size, rest, err = parseContent(rest)
		}
	case Link:
		it.Target, rest, err = parseText(rest)
	case Note:
		it.Note, rest, err = parseText(rest)
	default:
		err = errLine
	}
	if err != nil {
		return it, err
	}
	if it.Path, rest, err = unquote(rest); err == nil && len(rest) > 0 {
		err = errLine
	}
	return it, err
}

func parseMode(s []byte) (fs.FileMode, []byte, error) {
	if len(s) < 4 || s[3] != ' ' {
		return 0, nil, errLine
	}
	var m fs.FileMode
	for _, c := range s[:3] {
		if c < '0' || c > '7' {
			return 0, nil, errLine
		}
		m = m<<3 | fs.FileMode(c-'0')
	}
	return m, s[4:], nil
}

func parseContent(s []byte) (d site.Digest, size int64, rest []byte, err error) {
	name, s, _ := bytes.Cut(s, []byte(" "))
	if d, err = site.ParseDigest(string(name)); err != nil {
		return d, 0, nil, errLine
	}
	number, rest, ok := bytes.Cut(s, []byte(" "))
	size, err = strconv.ParseInt(string(number), 10, 64)
	if !ok || err != nil || !site.InRange(size) || strconv.FormatInt(size, 10) != string(number) {
		return d, 0, nil, errLine
	}
	return d, size, rest, nil
}

func parseText(s []byte) (string, []byte, error) {
	text, rest, err := unquote(s)
	if err == nil {
		if len(rest) == 0 || rest[0] != ' ' {
			return "", nil, errLine
		}
		rest = rest[1:]
	}
	return text, rest, err
}

const hexDigits = "0123456789abcdef"

// quote appends s as a JSON string in canonical spelling; see [site.Canonical].
func quote(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// unquote reads a JSON string in canonical spelling and returns what follows.
func unquote(s []byte) (string, []byte, error) {
	if len(s) == 0 || s[0] != '"' {
		return "", nil, errLine
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			if !utf8.ValidString(b.String()) {
				return "", nil, errors.New("not valid UTF-8")
			}
			return b.String(), s[i+1:], nil
		case c < 0x20:
			return "", nil, errLine
		case c != '\\':
			b.WriteByte(c)
			continue
		}
		n := 0
		if c, n = unescape(s[i:]); n == 0 {
			return "", nil, errLine
		}
		b.WriteByte(c)
		i += n - 1
	}
	return "", nil, errLine
}

// unescape reads one escape; n is its length, 0 if it is not a legal one.
func unescape(s []byte) (c byte, n int) {
	if len(s) >= 2 && (s[1] == '"' || s[1] == '\\') {
		return s[1], 2
	}
	if len(s) < 6 || string(s[:4]) != `\u00` {
		return 0, 0
	}
	hi, lo := strings.IndexByte(hexDigits[:2], s[4]), strings.IndexByte(hexDigits, s[5])
	if hi < 0 || lo < 0 {
		return 0, 0
	}
	return byte(hi<<4 | lo), 6
}
