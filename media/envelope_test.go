package media

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"filippo.io/age"

	"fardel/site"
)

// full takes some bytes and then fails, as a disk does.
type full struct{ left int }

var errFull = errors.New("no space left on device")

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.left {
		n := f.left
		f.left = 0
		return n, errFull
	}
	f.left -= len(p)
	return len(p), nil
}

// A disk that fills up at any byte must never give a file that counts as whole.
func TestFullDisk(t *testing.T) {
	entries := testEntries(t, 20, 100)
	writers := map[string]func(w io.Writer, to age.Recipient) error{
		"body": func(w io.Writer, to age.Recipient) error {
			seal, err := SealBody(w, to)
			if err != nil {
				return err
			}
			b := NewBodyWriter(seal)
			return first(
				func() error { return b.Head(testHead()) },
				func() error { return b.Receipt(testReceipt()) },
				func() error { return b.Log(testLog(), sequence(entries[:2])) },
				b.Close, seal.Close)
		},
		"segment": func(w io.Writer, to age.Recipient) error {
			_, err := WriteSegment(w, to, sequence(entries))
			return err
		},
		"bundle": func(w io.Writer, to age.Recipient) error {
			b, err := NewBundleWriter(w, Zstd, to, 1)
			if err != nil {
				return err
			}
			for _, c := range testContents()[:4] {
				if err := b.Add(c.it, bytes.NewReader(c.data)); err != nil {
					return err
				}
			}
			_, err = b.Close()
			return err
		},
	}
	for name, write := range writers {
		t.Run(name, func(t *testing.T) {
			_, to, _ := testKey(t)
			whole := NewSum()
			if err := write(whole, to); err != nil {
				t.Fatal(err)
			}
			size := int(whole.Size())
			for i := 0; i < size; i += size/60 + 1 {
				if err := write(&full{i}, to); !errors.Is(err, errFull) {
					t.Fatalf("full after %d of %d bytes: %v", i, size, err)
				}
			}
			if err := write(&full{size - 1}, to); !errors.Is(err, errFull) {
				t.Fatalf("full before the last byte: %v", err)
			}
		})
	}
}

func first(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func TestChecked(t *testing.T) {
	data := []byte("twelve bytes")
	f := fileOfBytes(data)
	tests := map[string]struct {
		data []byte
		file File
		ok   bool
	}{
		"sound":   {data, f, true},
		"empty":   {nil, fileOfBytes(nil), true},
		"cut":     {data[:11], f, false},
		"longer":  {append(bytes.Clone(data), 0), f, false},
		"changed": {[]byte("Twelve bytes"), f, false},
		"digest":  {data, File{testDigest(1), f.Size}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := Checked(bytes.NewReader(tt.data), tt.file)
			got, err := io.ReadAll(r)
			if tt.ok {
				if err != nil || !bytes.Equal(got, tt.data) {
					t.Fatalf("%q, %v", got, err)
				}
				return
			}
			wantFault(t, err, site.Damaged, nil)
			if _, again := r.Read(make([]byte, 1)); !errors.Is(again, site.Damaged) {
				t.Errorf("it fails once and then gives %v", again)
			}
		})
	}
}

func TestHybridSealing(t *testing.T) {
	secret, recipient, err := NewKey("hybrid")
	if err != nil {
		t.Fatal(err)
	}
	to, err := ParseRecipient(recipient)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	w, err := NewBundleWriter(&buf, XZ, to, 1)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenBundle(&buf, fileOfBytes(buf.Bytes()), XZ, secret, plain)
	if _, err := readAll(r, err); err != nil {
		t.Fatal(err)
	}
	s := Segment{File{testDigest(1), 100}, secret, 0, 1, 10}
	if err := s.check(); err != nil {
		t.Errorf("a body could not hold a hybrid key: %v", err)
	}
}

func TestItemsAreCounted(t *testing.T) {
	set := itemSet{}
	it := Item{Kind: Part, Digest: testDigest(1), Size: 1 << 40, Length: 1}
	for i := range int64(MaxItems) {
		it.Offset = i
		if err := set.add(it); err != nil {
			t.Fatal(err)
		}
	}
	wantFault(t, set.add(it), site.Damaged, ErrMalformed)
	it.Offset = MaxItems
	wantFault(t, set.add(it), site.Damaged, ErrLimit)
}
