package replicator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"strings"

	"fardel/site"
	"fardel/site/host"
)

// What a receipt code says.
const (
	codeComplete = "complete" // entries and content have arrived
	codeEntries  = "entries"  // entries have; some content has not
)

var codeText = base32.StdEncoding.WithPadding(base32.NoPadding)

// maxMisses is how many wrong codes in a row lock a route.
const maxMisses = 10

// receiptCode returns the sixteen characters that an operator reads aloud where
// nothing may leave a site: 72 bits that only the holder of the parcel's secret
// can make, and 8 bits against slips of the tongue.
func receiptCode(secret []byte, what string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(what))
	tag := mac.Sum(nil)[:9]
	check := sha256.Sum256(tag)
	s := codeText.EncodeToString(append(tag, check[0]))
	return s[0:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:16]
}

// cleanCode undoes what people do to codes: lower case, spaces and hyphens. It
// refuses a code whose check does not fit, which was misread.
func cleanCode(s string) (string, error) {
	s = strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "0", "O", "1", "I", "8", "B").Replace(s))
	raw, err := codeText.DecodeString(s)
	if err != nil || len(raw) != 10 {
		return "", site.BadUsage.New("a receipt code has sixteen letters and digits, such as ABCD-EFGH-IJKL-MNOP").
			In("Nothing was counted against the route")
	}
	if check := sha256.Sum256(raw[:9]); check[0] != raw[9] {
		return "", site.BadUsage.New("the code was misread or mistyped: its last characters do not fit the others").
			In("Nothing was counted against the route").Then("have it read out again")
	}
	return s[0:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:16], nil
}

// EnterCode takes in a receipt code that was read out by a site's operator, and
// returns the parcel that it confirms. Ten wrong codes in a row lock the route.
func (r *Replicator) EnterCode(code string, from site.Code) (Parcel, error) {
	code, err := cleanCode(code)
	if err != nil {
		return Parcel{}, err
	}
	var found Parcel
	var fault error
	err = r.host.Update(func(v *host.View) error {
		found, fault = Parcel{}, nil
		list, err := Parcels(v, from)
		if err != nil {
			return err
		}
		for _, p := range list {
			what, ok, err := p.matches(v, code)
			if err != nil {
				return err
			}
			if ok {
				found = p
				return r.confirmByCode(v, &found, what == codeComplete)
			}
		}
		fault, err = miss(v, from, list)
		return err
	})
	if err == nil {
		err = fault
	}
	return found, err
}

func (p Parcel) matches(v *host.View, code string) (string, bool, error) {
	if p.State == StatePacked || p.State == StateVoid {
		return "", false, nil
	}
	link, err := v.Link(p.To)
	if err != nil || link.Misses >= maxMisses {
		return "", false, err
	}
	secret, err := hex.DecodeString(p.Secret)
	if err != nil {
		return "", false, err
	}
	for _, what := range []string{codeComplete, codeEntries} {
		if hmac.Equal([]byte(receiptCode(secret, what)), []byte(code)) {
			return what, true, nil
		}
	}
	return "", false, nil
}

// confirmByCode does what a receipt would: the site holds what the parcel
// carried.
func (r *Replicator) confirmByCode(v *host.View, p *Parcel, complete bool) error {
	link, err := v.Link(p.To)
	if err != nil {
		return err
	}
	link.Misses = 0
	if p.Number >= link.Confirmed {
		link.Confirmed, link.Holds = p.Number, p.Positions
	}
	if err := v.PutLink(p.To, link); err != nil {
		return err
	}
	p.Arrived = true
	if complete {
		p.State, p.Confirmed = StateConfirmed, site.Moment(v.Host.Now())
		for _, l := range p.Loads {
			if err := v.Assume(p.To, l.ID, l.Source, l.Generation); err != nil {
				return err
			}
		}
	} else if p.State == StateCreated {
		p.State, p.Sent = StateSent, site.Moment(v.Host.Now())
	}
	return putParcel(v, *p)
}

// miss counts a wrong code against the routes that it could have been meant for.
func miss(v *host.View, from site.Code, list []Parcel) (error, error) {
	seen := map[site.Code]bool{}
	locked := false
	for _, p := range list {
		if seen[p.To] || p.State == StateConfirmed || p.State == StateVoid {
			continue
		}
		seen[p.To] = true
		link, err := v.Link(p.To)
		if err != nil {
			return nil, err
		}
		link.Misses++
		locked = locked || link.Misses >= maxMisses
		if err := v.PutLink(p.To, link); err != nil {
			return nil, err
		}
	}
	f := site.WrongCode.New("the code matches no parcel that waits for a receipt")
	if locked {
		return f.In("The route is locked after %d wrong codes", maxMisses).Then("fardel receipt unlock SITE    after you have spoken with its operator"), nil
	}
	return f.In("The wrong code was counted").Then("have it read out again"), nil
}

// UnlockCodes lets codes of a site in again.
func (r *Replicator) UnlockCodes(to site.Code) error {
	return r.host.Update(func(v *host.View) error {
		link, err := v.Link(to)
		if err != nil {
			return err
		}
		link.Misses = 0
		return v.PutLink(to, link)
	})
}

// Code returns the receipt code of a parcel that was imported here.
func (r *Replicator) Code(name site.ParcelName) (string, error) {
	var code string
	err := r.host.View(func(v *host.View) error {
		s, ok, err := arrivalSecret(v, name)
		if err != nil {
			return err
		}
		if !ok {
			return site.NoSuch.New("parcel %s was not imported here", name).Then("fardel parcel list")
		}
		what, err := r.completeness(v, name)
		if err != nil {
			return err
		}
		code = receiptCode(s, what)
		return nil
	})
	return code, err
}
