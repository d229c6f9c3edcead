package charter

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"fardel/site"
	"fardel/site/journal"
)

const cardFirstLine = "fardel card v1"

// Limits of a card.
const (
	MaxCard = 64 << 10 // bytes, with its signature
	MaxName = 128      // bytes of a site's name
)

// A Card is how a site introduces itself: to the hierarchy that it wants to
// join, and to its neighbours. It is signed by its own key, which proves that
// the sender has the key, and nothing about who the sender is.
type Card struct {
	Site      site.Code
	Name      string
	SignKey   string // note verifier key
	TLS       string // Ed25519 public key, base64
	Recipient string // age recipient
	Created   time.Time
	Hierarchy string
	Parent    site.Code // empty for the top
	Sealing   Sealing
	Root      site.Digest // the root that the site trusts
}

// Text returns the card as it is signed. It fails if the card says something
// that [ParseCard] would refuse.
func (c Card) Text() ([]byte, error) {
	text := c.render()
	if _, err := parseCardText(text); err != nil {
		return nil, err
	}
	return text, nil
}

func (c Card) render() []byte {
	parent := string(c.Parent)
	if parent == "" {
		parent = "-"
	}
	return fmt.Appendf(nil, cardFirstLine+"\nsite %s\nname %s\nsign %s\ntls %s\nrecipient %s\ncreated %s\n"+
		"hierarchy %s\nparent %s\nsealing %s\nroot %s\n",
		c.Site, c.Name, c.SignKey, c.TLS, c.Recipient, site.Moment(c.Created),
		c.Hierarchy, parent, c.Sealing, c.Root)
}

// Sign returns the card as a note. The signer must be the key that the card
// names.
func (c Card) Sign(signer note.Signer) ([]byte, error) {
	text, err := c.Text()
	if err != nil {
		return nil, err
	}
	msg, err := journal.SignNote(text, MaxCard, signer)
	if err != nil {
		return nil, err
	}
	if _, err := ParseCard(msg); err != nil {
		return nil, fmt.Errorf("signing a card: %w", err)
	}
	return msg, nil
}

// ParseCard reads a signed card and verifies that the key it names has signed
// it. Faults: [site.Damaged], [site.TooNew] and [site.Untrusted].
func ParseCard(msg []byte) (Card, error) {
	text, err := journal.ReadNote(msg, MaxCard, cardFirstLine)
	if err != nil {
		return Card{}, err
	}
	c, err := parseCardText(text)
	if err != nil {
		return Card{}, site.Damaged.New("this is not a well-formed card").Because(err)
	}
	own, err := ParseVerifier(c.SignKey, journal.KeyName(c.Hierarchy, c.Site))
	if err != nil {
		return Card{}, err
	}
	if _, err := journal.OpenNote(msg, MaxCard, cardFirstLine, note.VerifierList(own)); err != nil {
		return Card{}, err
	}
	return c, nil
}

func parseCardText(text []byte) (Card, error) {
	f := journal.ParseFields(text, cardFirstLine)
	c := Card{
		Site: site.Code(f.One("site")), Name: f.One("name"), SignKey: f.One("sign"),
		TLS: f.One("tls"), Recipient: f.One("recipient"), Created: parseTime(f, "created"),
		Hierarchy: f.One("hierarchy"), Parent: site.Code(f.One("parent")),
		Sealing: Sealing(f.One("sealing")),
	}
	root := f.One("root")
	if err := f.End(); err != nil {
		return Card{}, fmt.Errorf("card: %w", err)
	}
	if c.Parent == "-" {
		c.Parent = ""
	}
	var err error
	if c.Root, err = site.ParseDigest(root); err == nil {
		err = c.check()
	}
	if err == nil && !bytes.Equal(c.render(), text) {
		err = fmt.Errorf("it is not in its legal spelling")
	}
	if err != nil {
		return Card{}, fmt.Errorf("card: %w", err)
	}
	return c, nil
}

func (c Card) check() error {
	if !c.Site.Valid() || !journal.ValidHierarchy(c.Hierarchy) || !c.Sealing.Valid() || c.Root.IsZero() {
		return fmt.Errorf("malformed site, hierarchy, sealing or root")
	}
	if c.Parent != "" && !c.Parent.Valid() || c.Parent == c.Site {
		return fmt.Errorf("malformed parent")
	}
	if c.Name != strings.TrimSpace(c.Name) || c.Name == "" || len(c.Name) > MaxName {
		return fmt.Errorf("a name has 1 to %d bytes, and no spaces around it", MaxName)
	}
	if _, err := ParseVerifier(c.SignKey, journal.KeyName(c.Hierarchy, c.Site)); err != nil {
		return err
	}
	if _, err := ParseTLSKey(c.TLS); err != nil {
		return err
	}
	_, err := ParseRecipient(c.Recipient, c.Sealing)
	return err
}

// SiteKey returns the card's keys as they stand in the top site's log.
func (c Card) SiteKey(serial int) site.SiteKey {
	return site.SiteKey{Serial: serial, Sign: c.SignKey, TLS: c.TLS, Recipient: c.Recipient}
}
