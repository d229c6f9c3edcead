package charter

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"

	"filippo.io/age"

	"fardel/site"
)

func someBackup(t testing.TB) Backup {
	t.Helper()
	k := topKeys(t)
	c, err := NewCharter(k, now)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := c.Sign(k.Root())
	if err != nil {
		t.Fatal(err)
	}
	card, err := k.Card("Headquarters", "", c.Root(), now).Sign(k.Signer())
	if err != nil {
		t.Fatal(err)
	}
	return Backup{KindBackup, k, [][]byte{msg, msg}, card, map[string][]byte{"b": []byte("2"), "a.txt": []byte("1")}}
}

func encode(t testing.TB, b Backup) []byte {
	t.Helper()
	data, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestBackupRoundTrip(t *testing.T) {
	for _, kind := range []BackupKind{KindKit, KindBackup} {
		want := someBackup(t)
		want.Kind = kind
		got, err := ParseBackup(encode(t, want))
		if err != nil {
			t.Fatal(err)
		}
		if got.Kind != kind || got.Keys.SiteKey(1) != want.Keys.SiteKey(1) || got.Keys.RootKey() != want.Keys.RootKey() ||
			len(got.Charters) != 2 || !bytes.Equal(got.Charters[1], want.Charters[1]) || !bytes.Equal(got.Card, want.Card) ||
			!maps.EqualFunc(got.More, want.More, bytes.Equal) {
			t.Errorf("%s came back as %+v", kind, got)
		}
	}
}

func TestBackupEncodeRefuses(t *testing.T) {
	for name, change := range map[string]func(*Backup){
		"no kind":      func(b *Backup) { b.Kind = "" },
		"no keys":      func(b *Backup) { b.Keys = nil },
		"a bad name":   func(b *Backup) { b.More["../x"] = nil },
		"a huge file":  func(b *Backup) { b.More["x"] = make([]byte, MaxBackup) },
		"a strange id": func(b *Backup) { b.Kind = "kit v1\nfardel backup" },
	} {
		b := someBackup(t)
		change(&b)
		if _, err := b.Encode(); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// retar writes the backup anew, each file as change says.
func retar(t testing.TB, data []byte, change func(h *tar.Header, content []byte) []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, _ := io.ReadAll(r)
		if content = change(h, content); content == nil {
			continue
		}
		h.Size = int64(len(content))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		w.Write(content)
	}
	w.Close()
	return buf.Bytes()
}

func TestParseBackupRefuses(t *testing.T) {
	good := encode(t, someBackup(t))
	change := func(f func(h *tar.Header, content []byte) []byte) []byte { return retar(t, good, f) }
	when := func(name string, f func(h *tar.Header, content []byte) []byte) []byte {
		return change(func(h *tar.Header, content []byte) []byte {
			if h.Name == name {
				return f(h, content)
			}
			return content
		})
	}
	gone := func(*tar.Header, []byte) []byte { return nil }
	for name, c := range map[string]struct {
		data  []byte
		class *site.Class
	}{
		"nothing":         {nil, site.Damaged},
		"no header":       {when("fardel", gone), site.Damaged},
		"a later version": {when("fardel", func(*tar.Header, []byte) []byte { return []byte("fardel kit v2\n") }), site.TooNew},
		"another header":  {when("fardel", func(*tar.Header, []byte) []byte { return []byte("fardel kit\n") }), site.Damaged},
		"no signing key":  {when("keys/sign.key", gone), site.Damaged},
		"no card":         {when("card.note", gone), site.Damaged},
		"a charter lost":  {when("charters/charter-000001.note", gone), site.Damaged},
		"a path upwards":  {when("more/b", func(h *tar.Header, c []byte) []byte { h.Name = "more/../b"; return c }), site.Damaged},
		"a stranger":      {when("more/b", func(h *tar.Header, c []byte) []byte { h.Name = "other"; return c }), site.Damaged},
		"another mode":    {when("more/b", func(h *tar.Header, c []byte) []byte { h.Mode = 0o644; return c }), site.Damaged},
		"a link":          {when("more/b", func(h *tar.Header, c []byte) []byte { h.Typeflag, h.Linkname = tar.TypeSymlink, "x"; return c[:0] }), site.Damaged},
		"something after": {append(bytes.Clone(good), 'x'), site.Damaged},
		"a cut end":       {good[:len(good)-1024], site.Damaged},
		"too large":       {append(bytes.Clone(good), make([]byte, MaxBackup)...), site.Damaged},
	} {
		if _, err := ParseBackup(c.data); !errors.Is(err, c.class) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file may claim gigabytes that are not in the tar.
func TestParseBackupRefusesSparseFiles(t *testing.T) {
	head := make([]byte, 512)
	copy(head, "more/x")
	copy(head[100:], "0000600\x000000000\x000000000\x0000000000000\x0000000000000\x00        S")
	copy(head[257:], "ustar  \x00")
	copy(head[386:], "77777777776\x0000000000001\x00") // an empty piece near 8 GiB
	copy(head[483:], "77777777777\x00")                // the size when read
	sum := 0
	for _, b := range head {
		sum += int(b)
	}
	copy(head[148:], []byte{byte('0' + sum>>15&7), byte('0' + sum>>12&7), byte('0' + sum>>9&7), byte('0' + sum>>6&7), byte('0' + sum>>3&7), byte('0' + sum&7), 0, ' '})
	good := encode(t, someBackup(t))
	if _, err := ParseBackup(append(bytes.Clone(good[:1024]), append(head, make([]byte, 1024)...)...)); !errors.Is(err, site.Damaged) {
		t.Error(err)
	}
}

func FuzzParseBackup(f *testing.F) {
	b := someBackup(f)
	f.Add(encode(f, b))
	b.Keys, b.More = b.Keys.WithoutRoot(), nil
	f.Add(encode(f, b))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseBackup(data)
		if err != nil {
			return
		}
		if again, err := b.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("another file came back, %v", err)
		}
	})
}

// quick seals at a cost that a test can bear.
func quick(t testing.TB, passphrase string, plain []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := sealSecret(&buf, passphrase, plain, 10); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestSealSecret(t *testing.T) {
	var buf bytes.Buffer
	if err := SealSecret(&buf, "correct horse", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(buf.Bytes()[:200], []byte(" 18\n")) {
		t.Errorf("sealed at another cost: %q", buf.Bytes()[:100])
	}
	plain, err := OpenSecret(&buf, "correct horse", 100)
	if err != nil || string(plain) != "secret" {
		t.Errorf("%q, %v", plain, err)
	}
}

func TestOpenSecretUpToItsLimit(t *testing.T) {
	for _, n := range []int{0, 1, 64 << 10, 1 << 20} {
		sealed := quick(t, "x", make([]byte, n))
		if plain, err := OpenSecret(bytes.NewReader(sealed), "x", int64(n)); err != nil || len(plain) != n {
			t.Errorf("%d bytes: %d, %v", n, len(plain), err)
		}
		if n > 0 {
			if _, err := OpenSecret(bytes.NewReader(sealed), "x", int64(n-1)); !errors.Is(err, site.Damaged) {
				t.Errorf("%d bytes, one too many: %v", n, err)
			}
		}
	}
}

func TestOpenSecretRefuses(t *testing.T) {
	sealed := quick(t, "right", bytes.Repeat([]byte("x"), 200_000))
	costly := bytes.Replace(sealed, []byte(" 10\n"), []byte(" 21\n"), 1)
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)/2] ^= 1
	k := siteKeys(t, "EU1")
	r, _ := ParseRecipient(k.Recipient(), X25519)
	var toKey bytes.Buffer
	w, err := age.Encrypt(&toKey, r)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	for name, c := range map[string]struct {
		data       []byte
		passphrase string
		class      *site.Class
	}{
		"another passphrase":        {sealed, "wrong", site.BadPassphrase},
		"no passphrase":             {sealed, "", site.BadUsage},
		"nothing":                   {nil, "right", site.Damaged},
		"a cut end":                 {sealed[:len(sealed)-1], "right", site.Damaged},
		"cut at a block":            {sealed[:len(sealed)-200_000%(64<<10)-16], "right", site.Damaged},
		"something behind":          {append(bytes.Clone(sealed), 'x'), "right", site.Damaged},
		"a flipped bit":             {flipped, "right", site.Damaged},
		"a cost of gigabytes":       {costly, "right", site.Damaged},
		"sealed to a key":           {toKey.Bytes(), "right", site.Damaged},
		"an endless header":         {[]byte("age-encryption.org/v1\n-> scrypt " + strings.Repeat("a", 1<<20)), "right", site.Damaged},
		"a plain file":              {[]byte("hello"), "right", site.Damaged},
		"a file with two keys' age": {bytes.Replace(sealed, []byte("\n---"), []byte("\n-> X25519 AAAA\n\n---"), 1), "right", site.Damaged},
	} {
		plain, err := OpenSecret(bytes.NewReader(c.data), c.passphrase, 1<<20)
		if plain != nil || !errors.Is(err, c.class) {
			t.Errorf("%s: %d bytes, %v", name, len(plain), err)
		}
	}
}
