package media

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"

	"fardel/site"
)

// newKey returns a key of the sealing, ready for use.
func newKey(t testing.TB, sealing string) (string, age.Recipient, age.Identity) {
	t.Helper()
	secret, recipient, err := NewKey(sealing)
	if err != nil {
		t.Fatal(err)
	}
	to, err := ParseRecipient(recipient)
	if err != nil {
		t.Fatal(err)
	}
	id, err := ParseIdentity(secret)
	if err != nil {
		t.Fatal(err)
	}
	return secret, to, id
}

func sealTo(t testing.TB, plain []byte, to age.Recipient) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := Seal(&out, to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func unsealAll(r io.Reader, ids ...age.Identity) ([]byte, error) {
	in, err := Unseal(r, ids...)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(in)
}

const sealChunk = 64 << 10 // of age

func TestSealRoundTrip(t *testing.T) {
	for _, sealing := range []string{"x25519", "hybrid"} {
		_, to, id := newKey(t, sealing)
		_, _, other := newKey(t, sealing)
		for _, n := range []int{0, 1, sealChunk - 1, sealChunk, sealChunk + 1, 3*sealChunk + 7} {
			plain := noise(n)
			got, err := unsealAll(iotest.HalfReader(bytes.NewReader(sealTo(t, plain, to))), other, id)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s: %d bytes became %d, %v", sealing, n, len(got), err)
			}
		}
	}
}

func TestUnsealWithWrongKey(t *testing.T) {
	_, x, xid := newKey(t, "x25519")
	_, h, hid := newKey(t, "hybrid")
	_, _, xid2 := newKey(t, "x25519")
	_, _, hid2 := newKey(t, "hybrid")
	for _, c := range []struct {
		to  age.Recipient
		ids []age.Identity
	}{{x, ids(xid2)}, {h, ids(hid2)}, {x, ids(hid)}, {h, ids(xid)}, {x, ids(xid2, hid, hid2)}} {
		_, err := unsealAll(bytes.NewReader(sealTo(t, []byte("secret"), c.to)), c.ids...)
		wantFault(t, err, site.WrongKey, nil)
	}
}

func TestNewKeyKnowsTwoKinds(t *testing.T) {
	for _, sealing := range []string{"", "scrypt", "X25519"} {
		if secret, _, err := NewKey(sealing); err == nil || secret != "" {
			t.Errorf("%q was accepted", sealing)
		}
	}
}

func TestParseIdentityIsStrict(t *testing.T) {
	secret, _, _ := newKey(t, "x25519")
	hybrid, _, _ := newKey(t, "hybrid")
	for _, s := range []string{
		"", secret + "\n", " " + secret, strings.ToLower(secret), secret[:40], secret + secret,
		secret[:20] + "Q" + secret[20:], hybrid[:30], "# " + secret,
		"AGE-PLUGIN-YUBIKEY-1QQQQQQQQQQQQQQQQQQQQ", "-----BEGIN OPENSSH PRIVATE KEY-----", "passphrase",
	} {
		_, err := ParseIdentity(s)
		if err == nil {
			t.Errorf("%q was accepted", s)
		} else if len(s) > 20 && strings.Contains(err.Error(), s[17:20]) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

func TestParseRecipientIsStrict(t *testing.T) {
	_, recipient, err := NewKey("x25519")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		"", recipient + "\n", strings.ToUpper(recipient), recipient[:40], "age1pq1qqqq", "age1yubikey1qqqqqqqqqqqq",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", "age1tag1qqqqqqqq",
	} {
		if _, err := ParseRecipient(s); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}

func TestSealRefusesPassphrases(t *testing.T) {
	pass, err := age.NewScryptRecipient("passphrase")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Seal(io.Discard, pass); err == nil {
		t.Error("sealed to a passphrase")
	}
}

// Even with the right passphrase at hand, such a file is refused.
func TestUnsealRefusesPassphrases(t *testing.T) {
	pass, err := age.NewScryptRecipient("passphrase")
	if err != nil {
		t.Fatal(err)
	}
	pass.SetWorkFactor(10)
	open, err := age.NewScryptIdentity("passphrase")
	if err != nil {
		t.Fatal(err)
	}
	var msg bytes.Buffer
	w, err := age.Encrypt(&msg, pass)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = unsealAll(&msg, open)
	wantFault(t, err, site.Damaged, nil)
}

func TestUnsealWithoutKeys(t *testing.T) {
	_, to, _ := newKey(t, "x25519")
	if _, err := Unseal(bytes.NewReader(sealTo(t, nil, to))); err == nil {
		t.Error("unsealed without any identity")
	}
}

// wrapped is an identity of a type of its own, as key holders have it.
type wrapped struct{ age.Identity }

func TestUnsealWithWrappedKey(t *testing.T) {
	_, to, id := newKey(t, "x25519")
	if got, err := unsealAll(bytes.NewReader(sealTo(t, []byte("hello"), to)), wrapped{id}); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}

// counted tells how much was read of it.
type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// endless never ends.
type endless string

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e[i%len(e)]
	}
	return len(p), nil
}

func TestSealHeaderIsBounded(t *testing.T) {
	_, to, id := newKey(t, "x25519")
	good := sealTo(t, []byte("content"), to)
	const intro = "age-encryption.org/v1\n"
	stanza := string(good[len(intro):bytes.Index(good, []byte("\n---"))]) + "\n"
	last := string(good[bytes.Index(good, []byte("---")):])
	for _, c := range []struct {
		name  string
		in    io.Reader
		cause error
	}{
		{"passphrase", strings.NewReader(intro + "-> scrypt bGVwXzc1Y2h1bmtzc2FsdA 22\nAAAA\n" + last), nil},
		{"plugin", strings.NewReader(intro + "-> yubikey AAAA\nAAAA\n" + last), nil},
		{"ssh", strings.NewReader(intro + "-> ssh-ed25519 AAAA BBBB\nAAAA\n" + last), nil},
		{"no recipient", strings.NewReader(intro + last), ErrMalformed},
		{"two recipients", strings.NewReader(intro + stanza + stanza + last), ErrMalformed},
		{"many recipients", io.MultiReader(strings.NewReader(intro), endless(stanza)), ErrLimit},
		{"endless line", io.MultiReader(strings.NewReader(intro), endless("A")), ErrLimit},
		{"endless first line", endless("a"), ErrLimit},
		{"endless body", io.MultiReader(strings.NewReader(intro+"-> X25519 AAAA\n"), endless("AAAA\n")), ErrLimit},
		{"armour", strings.NewReader("-----BEGIN AGE ENCRYPTED FILE-----\n"), nil},
		{"next version", strings.NewReader("age-encryption.org/v2\n" + stanza + last), nil},
		{"nothing", strings.NewReader(""), nil},
	} {
		in := &counted{r: c.in}
		_, err := unsealAll(in, id)
		if f := site.AsFault(err); f == nil || f.Class != site.Damaged || c.cause != nil && !errors.Is(err, c.cause) {
			t.Errorf("%s: %v", c.name, err)
		}
		if in.n > 4*MaxSealHeader {
			t.Errorf("%s: %d bytes were read", c.name, in.n)
		}
	}
}

func TestSealedFilesThatWereCut(t *testing.T) {
	_, to, id := newKey(t, "x25519")
	msg := sealTo(t, noise(2*sealChunk+100), to)
	header := len(msg) - (2*sealChunk + 100) - 3*16
	cuts := []int{0, 1, header - 17, header - 16, header - 1, header, header + 1, len(msg) - 1}
	for i := 1; i <= 2; i++ {
		edge := header + i*(sealChunk+16)
		cuts = append(cuts, edge-1, edge, edge+1)
	}
	for n := 5; n < len(msg); n += 1 + n/20 {
		cuts = append(cuts, n)
	}
	for _, n := range cuts {
		_, err := unsealAll(bytes.NewReader(msg[:n]), id)
		if !errors.Is(err, site.Damaged) {
			t.Errorf("cut to %d of %d: %v", n, len(msg), err)
		}
	}
	_, err := unsealAll(bytes.NewReader(append(msg, 0)), id)
	wantFault(t, err, site.Damaged, nil)
}

func TestSealedFilesThatWereChanged(t *testing.T) {
	for _, sealing := range []string{"x25519", "hybrid"} {
		_, to, id := newKey(t, sealing)
		msg := sealTo(t, noise(500), to)
		r := rand.New(rand.NewPCG(5, 6))
		for i := range 1000 {
			at, bit := r.IntN(len(msg)), byte(1)<<r.IntN(8)
			if i < 200 {
				at = i
			}
			msg[at] ^= bit
			_, err := unsealAll(bytes.NewReader(msg), id)
			if !errors.Is(err, site.Damaged) && !errors.Is(err, site.WrongKey) {
				t.Errorf("%s: flip at %d of %d: %v", sealing, at, len(msg), err)
			}
			msg[at] ^= bit
		}
	}
}

func TestUnsealPassesReadErrors(t *testing.T) {
	_, to, id := newKey(t, "x25519")
	msg := sealTo(t, noise(2*sealChunk), to)
	for _, n := range []int{0, 10, 100, 190, 300, sealChunk, 2 * sealChunk, len(msg)} {
		if _, err := unsealAll(failing{bytes.NewReader(msg[:n]), errDisk}, id); err != errDisk {
			t.Errorf("broken after %d bytes: %v", n, err)
		}
	}
}

// A fault of one layer comes through the layers above it.
func TestFaultsComeThrough(t *testing.T) {
	_, to, id := newKey(t, "x25519")
	for _, c := range bothCodecs {
		msg := sealTo(t, compressed(t, c, noise(3*sealChunk), 1), to)
		in, err := Unseal(bytes.NewReader(msg[:2*sealChunk]), id)
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(in, c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(r)
		r.Close()
		wantFault(t, err, site.Damaged, nil)
		if !strings.Contains(err.Error(), "sealed") {
			t.Errorf("%s: the cause lies in the seal: %v", c, err)
		}
	}
}

func TestSealPassesWriteErrors(t *testing.T) {
	_, to, _ := newKey(t, "x25519")
	for n := range 3 {
		left := n
		w, err := Seal(sinkFunc(func(p []byte) (int, error) {
			if left--; left < 0 {
				return 0, errDisk
			}
			return len(p), nil
		}), to)
		if err == nil {
			err = w.Close()
		}
		if !errors.Is(err, errDisk) {
			t.Errorf("broken after %d writes: %v", n, err)
		}
	}
}

func TestAgeToolOpensOurs(t *testing.T) {
	tool := needTool(t, "age")
	secret, to, _ := newKey(t, "x25519")
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := noise(sealChunk + 5)
	cmd := exec.Command(tool, "-d", "-i", key)
	cmd.Stdin = bytes.NewReader(sealTo(t, plain, to))
	got, err := cmd.Output()
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("age gave %d bytes, %v", len(got), err)
	}
}

func TestOpensAgeToolFiles(t *testing.T) {
	tool := needTool(t, "age")
	secret, recipient, err := NewKey("x25519")
	if err != nil {
		t.Fatal(err)
	}
	id, err := ParseIdentity(secret)
	if err != nil {
		t.Fatal(err)
	}
	plain := noise(sealChunk + 5)
	cmd := exec.Command(tool, "-r", recipient)
	cmd.Stdin = bytes.NewReader(plain)
	msg, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unsealAll(bytes.NewReader(msg), id); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// FuzzSealHeader holds that headers which pass are taken off exactly, and no
// larger than the limit.
func FuzzSealHeader(f *testing.F) {
	_, to, id := newKey(f, "x25519")
	_, hybrid, _ := newKey(f, "hybrid")
	f.Add(sealTo(f, []byte("content"), to))
	f.Add(sealTo(f, nil, hybrid))
	f.Add([]byte("age-encryption.org/v1\n-> X25519 a\n---\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := &source{r: bytes.NewReader(b)}
		header, err := readSealHeader(newSealBuffer(in))
		if err == nil && (len(header) > MaxSealHeader || !bytes.HasPrefix(b, header)) {
			t.Fatalf("header of %d bytes", len(header))
		}
		if _, err := unsealAll(bytes.NewReader(b), id); err != nil && site.AsFault(err).Class == site.Failed {
			t.Fatalf("not a fault: %v", err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	_, to, id := newKey(b, "x25519")
	plain := noise(16 << 20)
	msg := sealTo(b, plain, to)
	b.Run("seal", func(b *testing.B) {
		b.SetBytes(int64(len(plain)))
		for b.Loop() {
			sealTo(b, plain, to)
		}
	})
	b.Run("unseal", func(b *testing.B) {
		b.SetBytes(int64(len(plain)))
		for b.Loop() {
			in, err := Unseal(bytes.NewReader(msg), id)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, in); err != nil {
				b.Fatal(err)
			}
		}
	})
}
