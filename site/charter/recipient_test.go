package charter

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"fardel/site/journal"
)

func TestParseRecipient(t *testing.T) {
	classic := siteKeys(t, "EU1").Recipient()
	k, err := Generate(hierarchy, "EU1", Hybrid)
	if err != nil {
		t.Fatal(err)
	}
	hybrid := k.Recipient()
	for _, c := range []struct {
		name, s string
		sealing Sealing
		ok      bool
	}{
		{"x25519", classic, X25519, true},
		{"hybrid", hybrid, Hybrid, true},
		{"x25519 for hybrid", classic, Hybrid, false},
		{"hybrid for x25519", hybrid, X25519, false},
		{"no sealing", classic, "", false},
		{"nothing", "", X25519, false},
		{"upper case", strings.ToUpper(classic), X25519, false},
		{"a space behind", classic + " ", X25519, false},
		{"a changed letter", classic[:20] + "q" + classic[21:61] + "q", X25519, false},
		{"SSH", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPNqxOcbSwSZkNOoLZHVoJ2J4nyZGZ7xNbvIdVJDJwAx", X25519, false},
		{"a plugin", "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", X25519, false},
		// The point zero: well formed, and nothing can be sealed to it.
		{"a useless point", "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z", X25519, false},
	} {
		if r, err := ParseRecipient(c.s, c.sealing); (err == nil) != c.ok || (r == nil) == c.ok {
			t.Errorf("%s: %v, %v", c.name, r, err)
		}
	}
}

func TestParseIdentity(t *testing.T) {
	secret, err := newIdentity(X25519)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := ParseIdentity(secret, X25519); err != nil || strings.Contains(fmt.Sprint(id), secret[16:40]) {
		t.Errorf("%v, %v", id, err)
	}
	for name, s := range map[string]string{
		"nothing": "", "lower case": strings.ToLower(secret), "a space behind": secret + " ",
		"a cut end": secret[:70], "a plugin": "AGE-PLUGIN-X-1QQQQ",
	} {
		if id, err := ParseIdentity(s, X25519); err == nil || id != nil {
			t.Errorf("%s: accepted", name)
		} else if len(s) > 40 && strings.Contains(err.Error(), s[16:40]) {
			t.Errorf("%s: a secret shows in %q", name, err)
		}
	}
	if _, err := ParseIdentity(secret, Hybrid); err == nil {
		t.Error("an identity of another kind was accepted")
	}
}

func TestParseVerifierRefuses(t *testing.T) {
	name := journal.KeyName(hierarchy, "EU1")
	good := siteKeys(t, "EU1").SignKey()
	hash := good[len(name)+1 : len(name)+9]
	for what, s := range map[string]string{
		"nothing":             "",
		"another site's":      siteKeys(t, "EU2").SignKey(),
		"a space behind":      good + " ",
		"a line end inside":   good[:len(good)-4] + "\n" + good[len(good)-4:],
		"no hash":             name + "++" + good[len(name)+10:],
		"another hash":        strings.Replace(good, hash, "00000000", 1),
		"a private key":       topKeys(t).secret().sign.text,
		"an unknown key type": name + "+" + hash + "+" + base64.StdEncoding.EncodeToString(make([]byte, 33)),
	} {
		if _, err := ParseVerifier(s, name); err == nil {
			t.Errorf("%s: %q was accepted", what, s)
		}
	}
	if _, err := ParseVerifier(good, name); err != nil {
		t.Error(err)
	}
}

// A key with a letter in its hash can be written in two ways for the library.
func TestParseVerifierRefusesUpperCaseHash(t *testing.T) {
	name := journal.KeyName(hierarchy, "EU1")
	for range 100 {
		key := siteKeys(t, "EU1").SignKey()
		hash := key[len(name)+1 : len(name)+9]
		if upper := strings.ToUpper(hash); upper != hash {
			if _, err := ParseVerifier(strings.Replace(key, hash, upper, 1), name); err == nil {
				t.Error("accepted")
			}
			return
		}
	}
	t.Fatal("no key has a letter in its hash")
}

func TestParseTLSKeyRefuses(t *testing.T) {
	good := siteKeys(t, "EU1").TLSKey()
	for name, s := range map[string]string{
		"nothing": "", "too short": "AAAA", "no padding": good[:43], "a line end": good + "\n",
		"stray bits": good[:42] + string(good[42]+1) + "=",
	} {
		if _, err := ParseTLSKey(s); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
