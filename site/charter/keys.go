package charter

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"fardel/site"
	"fardel/site/journal"
)

// The files that hold a site's private keys, each in the form that other tools
// read: note signer keys, PKCS #8 in PEM, and an age identity file. The last
// two exist at the top site only, and are best kept offline.
const (
	SignFile    = "sign.key"
	TLSFile     = "tls.key"
	AgeFile     = "age.key"
	RootFile    = "root.key"
	ReleaseFile = "release.key"
)

// KeyFiles are the names of all key files.
var KeyFiles = []string{SignFile, TLSFile, AgeFile, RootFile, ReleaseFile}

// maxKeyFile bounds a key file, in bytes.
const maxKeyFile = 16 << 10

// Keys are one generation of a site's private keys. However they are printed,
// they show their public names only.
type Keys struct {
	hierarchy string
	code      site.Code
	sealing   Sealing
	// Printing a structure that holds a Keys does not always call its methods. It
	// follows pointers and interfaces then, but it cannot look into a function.
	secret func() *secrets
}

type secrets struct {
	sign, root, release *signer // root and release are nil below the top
	tls                 ed25519.PrivateKey
	age                 string
	identity            *identity
}

func (s *secrets) hide() *secrets { return s }

type signer struct {
	note.Signer
	text   string // PRIVATE+KEY+…
	public string // the verifier key
}

// Generate makes new keys for a site below the top.
func Generate(hierarchy string, code site.Code, sealing Sealing) (*Keys, error) {
	if !journal.ValidHierarchy(hierarchy) || !code.Valid() || !sealing.Valid() {
		return nil, fmt.Errorf("keys: malformed hierarchy, code or sealing")
	}
	s := new(secrets)
	var err error
	if s.sign, err = newSigner(journal.KeyName(hierarchy, code)); err != nil {
		return nil, err
	}
	if _, s.tls, err = ed25519.GenerateKey(nil); err != nil {
		return nil, err
	}
	if s.age, err = newIdentity(sealing); err != nil {
		return nil, err
	}
	if s.identity, err = parseIdentity(s.age, sealing); err != nil {
		return nil, err
	}
	return &Keys{hierarchy, code, sealing, s.hide}, nil
}

// GenerateTop makes new keys for a top site, with a root and a release key.
func GenerateTop(hierarchy string, code site.Code, sealing Sealing) (*Keys, error) {
	k, err := Generate(hierarchy, code, sealing)
	if err != nil {
		return nil, err
	}
	if k.secret().root, err = newSigner(RootName(hierarchy)); err != nil {
		return nil, err
	}
	if k.secret().release, err = newSigner(ReleaseName(hierarchy)); err != nil {
		return nil, err
	}
	return k, nil
}

func newSigner(name string) (*signer, error) {
	text, _, err := note.GenerateKey(nil, name)
	if err != nil {
		return nil, err
	}
	return parseSigner(text)
}

// parseSigner never puts its input into an error: it is a secret.
func parseSigner(text string) (*signer, error) {
	s, err := note.NewSigner(text)
	parts := strings.SplitN(text, "+", 5)
	if err != nil || len(parts) != 5 {
		return nil, fmt.Errorf("not a signing key")
	}
	key, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(key) != 1+ed25519.SeedSize {
		return nil, fmt.Errorf("not a signing key")
	}
	pub := ed25519.NewKeyFromSeed(key[1:]).Public().(ed25519.PublicKey)
	public, err := note.NewEd25519VerifierKey(s.Name(), pub)
	if err != nil {
		return nil, err
	}
	again := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", s.Name(), s.KeyHash(), base64.StdEncoding.EncodeToString(key))
	if again != text {
		return nil, fmt.Errorf("a signing key is not in its legal spelling")
	}
	return &signer{s, text, public}, nil
}

func newIdentity(sealing Sealing) (string, error) {
	if sealing == Hybrid {
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			return "", err
		}
		return id.String(), nil
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", err
	}
	return id.String(), nil
}

// Hierarchy returns the id of the hierarchy that the keys are for.
func (k *Keys) Hierarchy() string { return k.hierarchy }

// Code returns the code of the site that the keys are for.
func (k *Keys) Code() site.Code { return k.code }

// Sealing returns the kind of the age identity.
func (k *Keys) Sealing() Sealing { return k.sealing }

// Signer returns the key that signs checkpoints, labels and the card.
func (k *Keys) Signer() note.Signer { return k.secret().sign.orNil() }

// Root returns the root key, or nil below the top and where it is kept offline.
func (k *Keys) Root() note.Signer { return k.secret().root.orNil() }

// Release returns the release key, or nil.
func (k *Keys) Release() note.Signer { return k.secret().release.orNil() }

// orNil keeps a nil key from becoming an interface that is not nil. It hands out
// the inner signer, which holds its key where printing does not reach.
func (s *signer) orNil() note.Signer {
	if s == nil {
		return nil
	}
	return s.Signer
}

// TLS returns the key that proves the site on connections.
func (k *Keys) TLS() ed25519.PrivateKey { return slices.Clone(k.secret().tls) }

// Identity returns what opens parcels to the site.
func (k *Keys) Identity() age.Identity { return k.secret().identity }

// Recipient returns what parcels to the site are sealed to.
func (k *Keys) Recipient() string { return k.secret().identity.recipient }

// SignKey returns the verifier key of [Keys.Signer].
func (k *Keys) SignKey() string { return k.secret().sign.public }

// RootKey returns the verifier key of [Keys.Root], or "".
func (k *Keys) RootKey() string { return k.secret().root.key() }

// ReleaseKey returns the verifier key of [Keys.Release], or "".
func (k *Keys) ReleaseKey() string { return k.secret().release.key() }

func (s *signer) key() string {
	if s == nil {
		return ""
	}
	return s.public
}

// TLSKey returns the public half of [Keys.TLS], in base64.
func (k *Keys) TLSKey() string {
	return base64.StdEncoding.EncodeToString(k.secret().tls.Public().(ed25519.PublicKey))
}

// SiteKey returns the public halves as they stand in the top site's log.
func (k *Keys) SiteKey(serial int) site.SiteKey {
	return site.SiteKey{Serial: serial, Sign: k.SignKey(), TLS: k.TLSKey(), Recipient: k.Recipient()}
}

// Card returns the site's card, to be signed with [Keys.Signer]. The parent is
// empty for the top.
func (k *Keys) Card(name string, parent site.Code, root site.Digest, created time.Time) Card {
	return Card{
		Site: k.code, Name: name, SignKey: k.SignKey(), TLS: k.TLSKey(), Recipient: k.Recipient(),
		Created: created.UTC().Truncate(time.Second), Hierarchy: k.hierarchy, Parent: parent,
		Sealing: k.sealing, Root: root,
	}
}

// WithoutRoot returns the keys without the root key, for the disk of a top site
// whose root key is kept elsewhere.
func (k *Keys) WithoutRoot() *Keys {
	s := *k.secret()
	s.root = nil
	return &Keys{k.hierarchy, k.code, k.sealing, s.hide}
}

// NewCharter returns the first charter of a hierarchy, whose only root and
// release keys are those of k, to be signed with [Keys.Root].
func NewCharter(k *Keys, created time.Time) (Charter, error) {
	if k.secret().root == nil || k.secret().release == nil {
		return Charter{}, fmt.Errorf("charter: %s has no root or no release key", k.code)
	}
	return Charter{
		Hierarchy: k.hierarchy, Version: 1, Created: created.UTC().Truncate(time.Second), Sealing: k.sealing,
		RootThreshold: 1, Roots: []string{k.RootKey()},
		Top: k.code, TopSign: k.SignKey(), TopTLS: k.TLSKey(), TopRecipient: k.Recipient(),
		ReleaseThreshold: 1, Releases: []string{k.ReleaseKey()}, Minimum: 1,
	}, nil
}

// NewHierarchyID returns a new random id: 16 characters of a-z2-7, 80 bits.
func NewHierarchyID() string { return strings.ToLower(rand.Text()[:16]) }

// Files returns the keys as files, by name: secrets, to be written with mode
// 0600 and to nowhere else.
func (k *Keys) Files() (map[string][]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.secret().tls)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{
		SignFile: []byte(k.secret().sign.text + "\n"),
		TLSFile:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		AgeFile:  fmt.Appendf(nil, "# public key: %s\n%s\n", k.Recipient(), k.secret().age),
	}
	if k.secret().root != nil {
		files[RootFile] = []byte(k.secret().root.text + "\n")
	}
	if k.secret().release != nil {
		files[ReleaseFile] = []byte(k.secret().release.text + "\n")
	}
	return files, nil
}

// ParseKeys reads what [Keys.Files] returned. Root and release keys may be
// missing; other names are refused. Errors name the file and never its content.
func ParseKeys(files map[string][]byte) (*Keys, error) {
	for name, b := range files {
		if !slices.Contains(KeyFiles, name) || len(b) > maxKeyFile {
			return nil, fmt.Errorf("keys: %q is not a key file", clip(name))
		}
	}
	s := new(secrets)
	var err error
	if s.sign, err = signerFile(files, SignFile, ""); err != nil {
		return nil, err
	}
	hierarchy, code, ok := strings.Cut(s.sign.Name(), "/")
	if !ok || !journal.ValidHierarchy(hierarchy) || !site.Code(code).Valid() {
		return nil, fmt.Errorf("keys: %s is not the key of a site", SignFile)
	}
	if files[RootFile] != nil {
		if s.root, err = signerFile(files, RootFile, RootName(hierarchy)); err != nil {
			return nil, err
		}
	}
	if files[ReleaseFile] != nil {
		if s.release, err = signerFile(files, ReleaseFile, ReleaseName(hierarchy)); err != nil {
			return nil, err
		}
	}
	if s.tls, err = parseTLSFile(files[TLSFile]); err != nil {
		return nil, err
	}
	sealing, err := s.parseAge(files[AgeFile])
	if err != nil {
		return nil, err
	}
	return &Keys{hierarchy, site.Code(code), sealing, s.hide}, nil
}

func signerFile(files map[string][]byte, file, name string) (*signer, error) {
	text, ok := strings.CutSuffix(string(files[file]), "\n")
	s, err := parseSigner(text)
	if !ok || err != nil || name != "" && s.Name() != name {
		return nil, fmt.Errorf("keys: %s is missing or damaged", file)
	}
	return s, nil
}

func parseTLSFile(b []byte) (ed25519.PrivateKey, error) {
	block, rest := pem.Decode(b)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("keys: %s is missing or damaged", TLSFile)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	tls, ok := key.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("keys: %s is not an Ed25519 key", TLSFile)
	}
	return tls, nil
}

func (s *secrets) parseAge(b []byte) (Sealing, error) {
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		if s.age != "" {
			return "", fmt.Errorf("keys: %s holds more than one key", AgeFile)
		}
		s.age = line
	}
	for _, sealing := range []Sealing{X25519, Hybrid} {
		if id, err := parseIdentity(s.age, sealing); err == nil {
			s.identity = id
			return sealing, nil
		}
	}
	return "", fmt.Errorf("keys: %s is missing or damaged", AgeFile)
}

// String returns whose keys these are, and nothing else.
func (k *Keys) String() string {
	if k == nil || k.secret == nil {
		return "no keys"
	}
	return "keys of " + k.hierarchy + "/" + string(k.code)
}

// GoString is [Keys.String], for %#v.
func (k *Keys) GoString() string { return k.String() }

// Format is [Keys.String] for every verb.
func (k *Keys) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }
