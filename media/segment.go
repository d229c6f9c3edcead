package media

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"

	"filippo.io/age"

	"fardel/site"
)

// WriteSegment writes a run of entries, compressed with xz and sealed to a key
// of its own, onto w. It returns the length of the lines before compression, line
// ends included, which the body has to state. If that would go beyond
// [MaxSegmentPlain] the error is [ErrLimit], and the file is not whole.
func WriteSegment(w io.Writer, to age.Recipient, lines iter.Seq2[[]byte, error]) (plain int64, err error) {
	out, err := sealCodec(w, XZ, to, codecWorkers)
	if err != nil {
		return 0, err
	}
	buf := bufio.NewWriterSize(out, 64<<10)
	for line, err := range lines {
		if err != nil {
			return plain, err
		}
		if err := segmentLineForm(line); err != nil {
			return plain, err
		}
		if plain += int64(len(line)) + 1; plain > MaxSegmentPlain {
			return plain, beyond("a segment would have more than %d bytes", MaxSegmentPlain)
		}
		buf.Write(line) // the first error sticks and comes out of WriteByte
		if err := buf.WriteByte('\n'); err != nil {
			return plain, err
		}
	}
	if plain == 0 {
		return 0, errors.New("segment without entries")
	}
	if err := buf.Flush(); err != nil {
		return plain, err
	}
	return plain, out.Close()
}

// segmentLineForm checks what the framing of a segment rests on. Whether a line
// is a proper entry is found out where it is folded, since each line is parsed
// there anyway and a segment may hold a hundred thousand of them.
func segmentLineForm(line []byte) error {
	if len(line) > site.MaxEntry {
		return beyond("an entry of %d bytes; the limit is %d", len(line), site.MaxEntry)
	}
	if len(line) == 0 || bytes.IndexByte(line, '\n') >= 0 {
		return malformed("a segment holds an empty entry, or one with a line end in it")
	}
	return nil
}

// ReadSegment yields the entries of a segment file, without line ends; they are
// the caller's to keep. It stops at the first error. The sequence ends without
// one only if the file's digest and size, the end of age and of xz, the length
// and the count were all what s says.
func ReadSegment(r io.Reader, s Segment) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if err := readSegment(r, s, yield); err != nil && err != errStopped {
			yield(nil, err)
		}
	}
}

var errStopped = errors.New("the caller has stopped")

func readSegment(r io.Reader, s Segment, yield func([]byte, error) bool) error {
	if err := s.check(); err != nil {
		if !errors.Is(err, ErrLimit) {
			err = malformed("%s", err)
		}
		return err
	}
	u, err := openFile(r, s.File, XZ, s.Key)
	if err != nil {
		return err
	}
	defer u.Close()
	in := bufio.NewReaderSize(u, site.MaxEntry+1)
	left := s.Plain
	for range s.Count {
		line, err := in.ReadSlice('\n')
		switch {
		case err == bufio.ErrBufferFull:
			return beyond("segment %s holds an entry above the limit of %d bytes", s.Digest.Short(), site.MaxEntry)
		case err == io.EOF:
			return malformed("segment %s ends too early", s.Digest.Short())
		case err != nil:
			return err
		}
		if left -= int64(len(line)); left < 0 || len(line) == 1 {
			return malformed("segment %s is longer than its parcel says, or holds an empty line", s.Digest.Short())
		}
		if !yield(bytes.Clone(line[:len(line)-1]), nil) {
			return errStopped
		}
	}
	if left != 0 {
		return malformed("segment %s is shorter than its parcel says", s.Digest.Short())
	}
	return atEnd(in, "the segment")
}
