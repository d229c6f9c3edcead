package charter

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"fardel/site"
)

// A BackupKind says what a sealed file is for.
type BackupKind string

// The kinds.
const (
	KindKit    BackupKind = "kit"    // enrols a new site
	KindBackup BackupKind = "backup" // brings an existing site's keys back
)

// MaxBackup bounds a kit or backup, in bytes before sealing.
const MaxBackup = 16 << 20

// A Backup is what a kit or a key backup holds. As a file it is a tar, sealed
// with [SealSecret].
type Backup struct {
	Kind     BackupKind
	Keys     *Keys
	Charters [][]byte          // signed, the oldest first
	Card     []byte            // signed
	More     map[string][]byte // small files of the caller's, by name: [a-z0-9.-]{1,64}
}

var moreName = regexp.MustCompile(`^[a-z0-9.-]{1,64}$`)

const (
	headerName = "fardel"
	cardName   = "card.note"
	keysDir    = "keys/"
	chartersAt = "charters/charter-%06d.note"
	moreDir    = "more/"
)

// Encode returns the backup as a tar, not yet sealed: it holds secrets. Equal
// backups are equal bytes.
func (b Backup) Encode() ([]byte, error) {
	if b.Kind != KindKit && b.Kind != KindBackup || b.Keys == nil {
		return nil, fmt.Errorf("a %q without keys cannot be written", clip(string(b.Kind)))
	}
	files, err := b.Keys.Files()
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(name string, content []byte) {
		if err == nil {
			err = addFile(w, name, content)
		}
	}
	add(headerName, b.header())
	for _, name := range KeyFiles {
		if content, ok := files[name]; ok {
			add(keysDir+name, content)
		}
	}
	for i, msg := range b.Charters {
		add(fmt.Sprintf(chartersAt, i+1), msg)
	}
	add(cardName, b.Card)
	for _, name := range slices.Sorted(maps.Keys(b.More)) {
		if !moreName.MatchString(name) {
			return nil, fmt.Errorf("%q is not a name for a file in a %s", clip(name), b.Kind)
		}
		add(moreDir+name, b.More[name])
	}
	if err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if buf.Len() > MaxBackup {
		return nil, fmt.Errorf("%s of %d bytes; the limit is %d", b.Kind, buf.Len(), MaxBackup)
	}
	return buf.Bytes(), nil
}

func (b Backup) header() []byte { return []byte("fardel " + string(b.Kind) + " v1\n") }

func addFile(w *tar.Writer, name string, content []byte) error {
	err := w.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o600,
		ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	})
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

// ParseBackup reads what [Backup.Encode] wrote, in its one legal spelling. It
// verifies neither charters nor card. Faults: [site.Damaged] and [site.TooNew].
func ParseBackup(data []byte) (Backup, error) {
	if len(data) > MaxBackup {
		return Backup{}, notABackup(fmt.Errorf("%d bytes; the limit is %d", len(data), MaxBackup))
	}
	var b Backup
	keys := make(map[string][]byte)
	left := int64(len(data))
	r := tar.NewReader(bytes.NewReader(data))
	for first := true; ; first = false {
		h, err := r.Next()
		if err == io.EOF && !first {
			break
		}
		if err != nil {
			return Backup{}, notABackup(err)
		}
		// A sparse file claims more bytes than it has in the tar.
		if left -= h.Size; h.Typeflag != tar.TypeReg || left < 0 {
			return Backup{}, notABackup(fmt.Errorf("%q is no plain file", clip(h.Name)))
		}
		content, err := io.ReadAll(r)
		if err == nil && first {
			err = b.readHeader(h.Name, content)
		} else if err == nil {
			err = b.take(h.Name, content, keys)
		}
		if err != nil {
			return Backup{}, notABackup(err)
		}
	}
	var err error
	if b.Keys, err = ParseKeys(keys); err != nil {
		return Backup{}, notABackup(err)
	}
	if again, err := b.Encode(); err != nil || !bytes.Equal(again, data) {
		return Backup{}, notABackup(fmt.Errorf("it is not in its legal spelling"))
	}
	return b, nil
}

func (b *Backup) readHeader(name string, content []byte) error {
	for _, kind := range []BackupKind{KindKit, KindBackup} {
		b.Kind = kind
		if name == headerName && bytes.Equal(content, b.header()) {
			return nil
		}
		if name == headerName && bytes.HasPrefix(content, []byte("fardel "+string(kind)+" v")) && len(content) < 32 {
			return site.TooNew.New("the %s was written by a newer fardel", kind)
		}
	}
	return fmt.Errorf("it begins with %q", clip(name))
}

// take sorts one file in. Names out of order are found by writing it all again.
func (b *Backup) take(name string, content []byte, keys map[string][]byte) error {
	switch {
	case name == cardName:
		b.Card = content
	case strings.HasPrefix(name, keysDir):
		keys[strings.TrimPrefix(name, keysDir)] = content
	case strings.HasPrefix(name, moreDir):
		if b.More == nil {
			b.More = make(map[string][]byte)
		}
		b.More[strings.TrimPrefix(name, moreDir)] = content
	case name == fmt.Sprintf(chartersAt, len(b.Charters)+1):
		b.Charters = append(b.Charters, content)
	default:
		return fmt.Errorf("unexpected file %q", clip(name))
	}
	return nil
}

func notABackup(err error) error {
	if f := site.AsFault(err); f.Class == site.TooNew {
		return f
	}
	return site.Damaged.New("this is not a kit or a backup, or it is damaged").Because(err)
}
