package charter

import (
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"fardel/site"
	"fardel/site/journal"
)

// A KeyVerdict says what a key is worth. The better a key, the higher the
// number.
type KeyVerdict int

// The verdicts.
const (
	Unknown    KeyVerdict = iota // no key of the site that anyone vouches for
	RevokedKey                   // lost or stolen: what it signed above its end is void
	Replaced                     // replaced in good order: what it signed up to its end stands
	Current                      // the key that the site signs with now
)

// String returns the verdict as a word.
func (v KeyVerdict) String() string {
	switch v {
	case Current:
		return "current"
	case Replaced:
		return "replaced"
	case RevokedKey:
		return "revoked"
	}
	return "unknown"
}

// Known are the signing keys of all sites of a hierarchy, former ones included,
// so that a signature by a revoked key is told from one by a stranger.
type Known struct {
	charter Charter
	sites   map[site.Code]map[keyID]knownKey
}

// keyID is how a signature names its key.
type keyID struct {
	name string
	hash uint32
}

type knownKey struct {
	verifier note.Verifier
	verdict  KeyVerdict
	end      *site.KeyEnd
}

// NewKnown takes the top's keys from the latest charter, and those of all other
// sites from what the top's log says about them. About the top's own keys the
// log can add only how far the word of a former one reaches: a stolen key must
// not vouch for another. Malformed keys are left out.
func NewKnown(c Chain, sites map[site.Code]site.Site) *Known {
	k := &Known{c.Latest(), make(map[site.Code]map[keyID]knownKey)}
	for code, s := range sites {
		if code == k.charter.Top {
			continue
		}
		current := s.Key()
		for i := range s.Keys {
			verdict, end := judge(&s.Keys[i], &s.Keys[i] == current)
			k.add(code, s.Keys[i].Sign, verdict, end)
		}
	}
	k.addTop(sites[k.charter.Top].Keys)
	return k
}

func judge(key *site.SiteKey, current bool) (KeyVerdict, *site.KeyEnd) {
	switch {
	case key.End != nil && key.End.Revoked:
		return RevokedKey, key.End
	case key.End != nil || !current:
		return Replaced, key.End
	}
	return Current, nil
}

func (k *Known) addTop(keys []site.SiteKey) {
	if k.charter.Top == "" {
		return
	}
	for _, former := range k.charter.TopFormer {
		code, _ := k.signer(keyName(former))
		if code != k.charter.Top {
			// The top has moved. What the log says of its former seat counts
			// first: that may go on as a site like any other.
			if _, ok := k.sites[code]; !ok {
				k.add(code, former, Replaced, nil)
			}
			continue
		}
		verdict, end := Replaced, (*site.KeyEnd)(nil)
		i := slices.IndexFunc(keys, func(key site.SiteKey) bool { return key.Sign == former && key.End != nil })
		if i >= 0 {
			verdict, end = judge(&keys[i], false)
		}
		k.add(k.charter.Top, former, verdict, end)
	}
	k.add(k.charter.Top, k.charter.TopSign, Current, nil)
}

// add adds a key. The first of two keys that signatures cannot tell apart stays,
// unless the second has the worse verdict.
func (k *Known) add(code site.Code, key string, verdict KeyVerdict, end *site.KeyEnd) {
	v, err := ParseVerifier(key, journal.KeyName(k.charter.Hierarchy, code))
	if err != nil {
		return
	}
	if k.sites[code] == nil {
		k.sites[code] = make(map[keyID]knownKey)
	}
	id := keyID{v.Name(), v.KeyHash()}
	if old, ok := k.sites[code][id]; ok && old.verdict <= verdict {
		return
	}
	k.sites[code][id] = knownKey{v, verdict, end}
}

// For returns the keys of one site: current, replaced and revoked. Signatures
// that they verify have to be judged with [Known.Judge].
func (k *Known) For(code site.Code) note.Verifiers { return siteVerifiers{k, code} }

// All returns the keys of all sites: current, replaced and revoked.
func (k *Known) All() note.Verifiers { return siteVerifiers{k, ""} }

type siteVerifiers struct {
	known *Known
	only  site.Code // empty: any site
}

// Verifier implements [note.Verifiers].
func (s siteVerifiers) Verifier(name string, hash uint32) (note.Verifier, error) {
	code, ok := s.known.signer(name)
	if ok && (s.only == "" || s.only == code) {
		if key, ok := s.known.sites[code][keyID{name, hash}]; ok {
			return key.verifier, nil
		}
	}
	return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
}

// keyName returns the name that a verifier key bears.
func keyName(key string) string {
	name, _, _ := strings.Cut(key, "+")
	return name
}

// signer returns the site whose keys bear this name.
func (k *Known) signer(name string) (site.Code, bool) {
	if len(name) < 3 {
		return "", false
	}
	code := site.Code(name[len(name)-3:])
	return code, name == journal.KeyName(k.charter.Hierarchy, code)
}

// Judge says what the key of a verified signature is worth as the site's, and
// how far the word of a former key reaches. For a former key without an end,
// which is nil, nothing says so yet: believe no more than was believed before.
func (k *Known) Judge(code site.Code, sig note.Signature) (KeyVerdict, *site.KeyEnd) {
	key, ok := k.sites[code][keyID{sig.Name, sig.Hash}]
	if !ok {
		return Unknown, nil
	}
	return key.verdict, key.end
}

// Best is [Known.Judge] of the signature whose key is worth most.
func (k *Known) Best(code site.Code, sigs []note.Signature) (KeyVerdict, *site.KeyEnd) {
	best, bestEnd := Unknown, (*site.KeyEnd)(nil)
	for _, sig := range sigs {
		if v, end := k.Judge(code, sig); v > best {
			best, bestEnd = v, end
		}
	}
	return best, bestEnd
}

// Covers reports whether a former key's word reaches up to this position of one
// of the site's logs. It compares numbers: that the log really led to the
// position where the key ended is for the holder of the log to check. Where
// nothing says how far it reaches, with a nil end, it covers nothing.
func Covers(end *site.KeyEnd, log site.LogName, p site.Position) bool {
	if end == nil {
		return false
	}
	last := end.Observations
	if log == site.Decisions {
		last = end.Decisions
	}
	r := journal.Compare(p, last)
	return r == journal.Same || r == journal.Older
}

// Charter returns the charter that the keys rest on.
func (k *Known) Charter() Charter { return k.charter }
