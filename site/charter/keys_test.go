package charter

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"fardel/site/journal"
)

func TestKeysRoundTrip(t *testing.T) {
	for _, sealing := range []Sealing{X25519, Hybrid} {
		want, err := GenerateTop(hierarchy, "HQ0", sealing)
		if err != nil {
			t.Fatal(err)
		}
		files, err := want.Files()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseKeys(files)
		if err != nil {
			t.Fatal(err)
		}
		if got.SiteKey(1) != want.SiteKey(1) || got.RootKey() != want.RootKey() || got.ReleaseKey() != want.ReleaseKey() ||
			got.Hierarchy() != hierarchy || got.Code() != "HQ0" || got.Sealing() != sealing {
			t.Errorf("%s: other keys came back", sealing)
		}
		again, err := got.Files()
		if err != nil || !maps.EqualFunc(again, files, bytes.Equal) {
			t.Errorf("%s: other files came back, %v", sealing, err)
		}
	}
}

func TestKeysBelowTheTop(t *testing.T) {
	k := siteKeys(t, "EU1")
	files, err := k.Files()
	if err != nil {
		t.Fatal(err)
	}
	if names := slices.Sorted(maps.Keys(files)); !slices.Equal(names, []string{AgeFile, SignFile, TLSFile}) {
		t.Errorf("files %q", names)
	}
	if k.Root() != nil || k.Release() != nil || k.RootKey() != "" || k.ReleaseKey() != "" {
		t.Error("a site below the top has a root or a release key")
	}
	if _, err := NewCharter(k, now); err == nil {
		t.Error("it can write a charter")
	}
}

func TestWithoutRoot(t *testing.T) {
	k := topKeys(t)
	bare := k.WithoutRoot()
	if bare.Root() != nil || k.Root() == nil || bare.Release() == nil || bare.SignKey() != k.SignKey() {
		t.Error("not just the root key is gone")
	}
}

func TestKeysWork(t *testing.T) {
	for _, sealing := range []Sealing{X25519, Hybrid} {
		k, err := Generate(hierarchy, "EU1", sealing)
		if err != nil {
			t.Fatal(err)
		}
		r, err := ParseRecipient(k.Recipient(), sealing)
		if err != nil {
			t.Fatal(err)
		}
		var sealed bytes.Buffer
		w, err := age.Encrypt(&sealed, r)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "hello")
		w.Close()
		plain, err := age.Decrypt(&sealed, k.Identity())
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(plain); err != nil || string(b) != "hello" {
			t.Errorf("%s: %q, %v", sealing, b, err)
		}
		pub, err := ParseTLSKey(k.TLSKey())
		if err != nil || !ed25519.Verify(pub, []byte("x"), ed25519.Sign(k.TLS(), []byte("x"))) {
			t.Errorf("the TLS key does not match its public half: %v", err)
		}
		if _, err := ParseVerifier(k.SignKey(), journal.KeyName(hierarchy, "EU1")); err != nil {
			t.Error(err)
		}
	}
}

// However keys are printed, no part of a secret may show.
func TestKeysAreNotPrinted(t *testing.T) {
	k := topKeys(t)
	files, err := k.Files()
	if err != nil {
		t.Fatal(err)
	}
	var secrets []string
	for _, b := range files {
		for line := range strings.Lines(string(b)) {
			if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "-") {
				secrets = append(secrets, strings.TrimSpace(line)[16:])
			}
		}
	}
	secrets = append(secrets, k.secret().sign.text[30:], fmt.Sprint([]byte(k.TLS())), fmt.Sprintf("%x", k.TLS()))
	type holder struct {
		Keys   *Keys
		hidden *Keys
		value  Keys
	}
	var out strings.Builder
	for _, v := range []any{k, *k, holder{k, k, *k}, &holder{k, k, *k}, []*Keys{k}, k.Signer(), k.Root(), k.Identity()} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if g, ok := v.(fmt.GoStringer); ok {
			out.WriteString(g.GoString())
		}
		b, _ := json.Marshal(v)
		out.Write(b)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	}
	for _, secret := range secrets {
		if strings.Contains(out.String(), secret) {
			t.Errorf("a secret shows in\n%s", out.String())
		}
	}
	if !strings.Contains(out.String(), "keys of "+hierarchy+"/HQ0") {
		t.Error("nor does it say whose keys they are")
	}
}

func TestParseKeysRefuses(t *testing.T) {
	good, err := topKeys(t).Files()
	if err != nil {
		t.Fatal(err)
	}
	other, err := topKeys(t).Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string][]byte){
		"nothing":                 func(f map[string][]byte) { clear(f) },
		"no signing key":          func(f map[string][]byte) { delete(f, SignFile) },
		"no TLS key":              func(f map[string][]byte) { delete(f, TLSFile) },
		"no identity":             func(f map[string][]byte) { delete(f, AgeFile) },
		"a stranger":              func(f map[string][]byte) { f["id_rsa"] = nil },
		"a huge file":             func(f map[string][]byte) { f[AgeFile] = make([]byte, maxKeyFile+1) },
		"a root key that is none": func(f map[string][]byte) { f[RootFile] = f[SignFile] },
		"a root key to sign with": func(f map[string][]byte) { f[SignFile] = f[RootFile] },
		"two identities":          func(f map[string][]byte) { f[AgeFile] = append(f[AgeFile], other[AgeFile]...) },
		"something behind TLS":    func(f map[string][]byte) { f[TLSFile] = append(f[TLSFile], "x"...) },
		"a cut signing key":       func(f map[string][]byte) { f[SignFile] = append(f[SignFile][:60:60], '\n') },
		"an SSH identity":         func(f map[string][]byte) { f[AgeFile] = []byte("ssh-ed25519 AAAA\n") },
		"a plugin identity":       func(f map[string][]byte) { f[AgeFile] = []byte("AGE-PLUGIN-X-1QQQQ\n") },
	} {
		files := make(map[string][]byte)
		for n, b := range good {
			files[n] = bytes.Clone(b)
		}
		change(files)
		k, err := ParseKeys(files)
		if err == nil {
			t.Errorf("%s: read as %v", name, k)
			continue
		}
		for _, b := range good {
			if strings.Contains(err.Error(), strings.TrimSpace(string(b))[20:40]) {
				t.Errorf("%s: a secret shows in %q", name, err)
			}
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	files, err := topKeys(f).Files()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(files[SignFile], files[TLSFile], files[AgeFile])
	f.Fuzz(func(t *testing.T, sign, tls, age []byte) {
		k, err := ParseKeys(map[string][]byte{SignFile: sign, TLSFile: tls, AgeFile: age})
		if err != nil {
			return
		}
		if again, err := k.Files(); err != nil || !bytes.Equal(again[SignFile], sign) {
			t.Fatalf("%q came back as %q, %v", sign, again[SignFile], err)
		}
	})
}

func TestNewHierarchyID(t *testing.T) {
	a, b := NewHierarchyID(), NewHierarchyID()
	if !journal.ValidHierarchy(a) || !journal.ValidHierarchy(b) || a == b {
		t.Errorf("%q and %q", a, b)
	}
}

func TestGenerateRefuses(t *testing.T) {
	if _, err := Generate("short", "EU1", X25519); err == nil {
		t.Error("a malformed hierarchy was accepted")
	}
	if _, err := Generate(hierarchy, "eu1", X25519); err == nil {
		t.Error("a malformed code was accepted")
	}
	if _, err := GenerateTop(hierarchy, "EU1", "rsa"); err == nil {
		t.Error("an unknown sealing was accepted")
	}
}
