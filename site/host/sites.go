package host

import (
	"slices"

	"fardel/site"
	"fardel/site/charter"
)

// AddSite takes a site into the hierarchy, as its card describes it. Only the
// top can do that; a site below it keeps the card as an observation, which
// reaches the top with the next parcel. The parent is the one that the card
// names, or another if parent is set.
func (h *Host) AddSite(card []byte, parent site.Code, rights []site.Right) (site.Site, error) {
	c, err := charter.ParseCard(card)
	if err != nil {
		return site.Site{}, site.BadUsage.New("the card cannot be read: %v", err).
			In("Nothing was changed").Then("ask for the card again: fardel site card")
	}
	if c.Hierarchy != h.Me.Hierarchy {
		return site.Site{}, site.Untrusted.New("the card of %s asks to join another hierarchy", c.Site).
			In("Nothing was changed").
			Then("set %s up again with this site's card: fardel init %s --parent %s.card", c.Site, c.Site, h.Self.Lower())
	}
	if parent == "" {
		parent = c.Parent
	}
	var made site.Site
	err = h.Update(func(v *View) error {
		if err := v.mayWrite(); err != nil {
			return err
		}
		if !v.IsTop() {
			return v.handIn(c, card, parent)
		}
		made, err = v.admit(c, parent, rights)
		return err
	})
	return made, err
}

func (v *View) admit(c charter.Card, parent site.Code, rights []site.Right) (site.Site, error) {
	if err := v.fitsTree(c.Site, parent); err != nil {
		return site.Site{}, err
	}
	body := site.SiteBody{Name: c.Name, Parent: parent, Rights: rights, Keys: []site.SiteKey{c.SiteKey(1)}, State: site.SiteActive}
	if have, ok := v.Hier.Sites[c.Site]; ok {
		if k := have.Key(); have.State == site.SiteActive && k != nil && k.Sign == c.SignKey && k.Recipient == c.Recipient &&
			have.Parent == parent && slices.Equal(have.Rights, rights) {
			return have, nil // the same card again
		}
		if have.State == site.SiteRemoved {
			return site.Site{}, site.Exists.New("%s was removed from the hierarchy; codes are never given out twice", c.Site).
				Then("set the site up under another code")
		}
		return site.Site{}, site.Exists.New("%s is a member already, with other keys or another place", c.Site).
			In("Nothing was changed").
			Then("fardel site rekey %s CARD           if it has new keys", c.Site).
			Then("fardel site rekey %s CARD --lost    if its old keys may be in other hands", c.Site)
	}
	return site.Site{Code: c.Site, SiteBody: body}, v.writeSite(c.Site, body)
}

func (v *View) fitsTree(code, parent site.Code) error {
	if code == v.Hier.Top || parent == "" {
		return site.BadUsage.New("%s needs a parent in this hierarchy", code).
			Then("fardel init %s --parent %s.card    at the new site", code, v.Host.Self.Lower())
	}
	if _, ok := v.Hier.Active(parent); !ok {
		return site.NoSuch.New("the parent %s is not a member of the hierarchy", parent).
			In("Nothing was changed").Then("add %s first, or name another parent with --parent", parent)
	}
	return nil
}

func (v *View) writeSite(code site.Code, body site.SiteBody) error {
	e, err := site.NewEntry(v.Host.Now(), site.KindSite, string(code), body)
	if err != nil {
		return err
	}
	return v.Append(site.Decisions, e)
}

// handIn keeps a card that was given to a site below the top.
func (v *View) handIn(c charter.Card, card []byte, parent site.Code) error {
	e, err := site.NewEntry(v.Host.Now(), site.KindEnrolment, string(c.Site), site.EnrolmentBody{Card: string(card), Parent: parent})
	if err != nil {
		return err
	}
	return v.Append(site.Observations, e)
}

// An Enrolment is a card that was handed in at a site below the top.
type Enrolment struct {
	site.EnrolmentBody
	Code site.Code
	At   site.Code // where
}

// Enrolments returns the cards that wait for the top to admit them.
func (v *View) Enrolments() ([]Enrolment, error) {
	var out []Enrolment
	for at := range v.Hier.Sites {
		err := v.Objects(site.LogID{Site: at, Log: site.Observations}, site.KindEnrolment, func(e site.Entry, _ int64) error {
			var b site.EnrolmentBody
			if e.Decode(&b) != nil {
				return nil
			}
			c, err := charter.ParseCard([]byte(b.Card))
			if err != nil || string(c.Site) != e.ID {
				return nil
			}
			if have, ok := v.Hier.Active(c.Site); ok && have.Key() != nil && have.Key().Sign == c.SignKey {
				return nil
			}
			out = append(out, Enrolment{b, c.Site, at})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b Enrolment) int { return compareCodes(a.Code, b.Code) })
	return out, nil
}

func compareCodes(a, b site.Code) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// RemoveSite takes a site out of the hierarchy. What it signed up to the
// positions that are held here stays valid; nothing after that does.
func (h *Host) RemoveSite(code site.Code) error {
	return h.Update(func(v *View) error {
		s, err := v.memberToChange(code)
		if err != nil {
			return err
		}
		if kids := v.Hier.Children(code); len(kids) > 0 {
			return site.Exists.New("%s still has sites below it: %s", code, site.Codes(kids)).
				In("Nothing was changed").Then("remove those first, or give them another parent")
		}
		if err := v.endKeys(&s, true); err != nil {
			return err
		}
		s.State = site.SiteRemoved
		return v.writeSite(code, s.SiteBody)
	})
}

// RekeySite gives a member the keys of a new card. Lost says that the old keys
// may be in other hands: they are revoked at the last position held here, and
// the site is sent everything again, its own entries included.
func (h *Host) RekeySite(code site.Code, card []byte, lost bool) error {
	c, err := charter.ParseCard(card)
	if err != nil {
		return site.BadUsage.New("the card cannot be read: %v", err).In("Nothing was changed")
	}
	if c.Site != code || c.Hierarchy != h.Me.Hierarchy {
		return site.BadUsage.New("this is the card of %s, not of %s", c.Site, code).In("Nothing was changed")
	}
	return h.Update(func(v *View) error {
		s, err := v.memberToChange(code)
		if err != nil {
			return err
		}
		if k := s.Key(); k != nil && k.Sign == c.SignKey && k.Recipient == c.Recipient {
			return nil
		}
		serial := len(s.Keys) + 1
		for _, k := range s.Keys {
			if k.Sign == c.SignKey {
				return site.Untrusted.New("the card holds a former key of %s", code).In("Nothing was changed").
					Then("make new keys at %s: fardel init %s --parent CARD in an empty state folder", code, code)
			}
			serial = max(serial, k.Serial+1)
		}
		if err := v.endKeys(&s, lost); err != nil {
			return err
		}
		s.Keys = append(s.Keys, c.SiteKey(serial))
		if len(s.Keys) > maxKeys {
			s.Keys = s.Keys[len(s.Keys)-maxKeys:]
		}
		if err := v.writeSite(code, s.SiteBody); err != nil {
			return err
		}
		l, err := v.Link(code)
		if err != nil {
			return err
		}
		l.Holds, l.Carried, l.Confirmed, l.Fresh = nil, nil, 0, true
		return v.PutLink(code, l)
	})
}

// maxKeys bounds the generations of keys that a site's entry lists. Six keys of
// the hybrid kind fill an entry.
const maxKeys = 5

// endKeys marks the site's current keys as replaced or revoked, at the
// positions that are held here.
func (v *View) endKeys(s *site.Site, revoked bool) error {
	decisions, err := v.Position(site.LogID{Site: s.Code, Log: site.Decisions})
	if err != nil {
		return err
	}
	observations, err := v.Position(site.LogID{Site: s.Code, Log: site.Observations})
	if err != nil {
		return err
	}
	s.Keys = slices.Clone(s.Keys)
	for i := range s.Keys {
		if s.Keys[i].End == nil {
			s.Keys[i].End = &site.KeyEnd{Revoked: revoked, Decisions: decisions, Observations: observations}
		}
	}
	return nil
}

// GrantRights replaces a member's rights.
func (h *Host) GrantRights(code site.Code, rights []site.Right) error {
	return h.Update(func(v *View) error {
		s, err := v.memberToChange(code)
		if err != nil {
			return err
		}
		s.Rights = rights
		return v.writeSite(code, s.SiteBody)
	})
}

func (v *View) memberToChange(code site.Code) (site.Site, error) {
	if err := v.mayWrite(); err != nil {
		return site.Site{}, err
	}
	if !v.IsTop() {
		return site.Site{}, site.NotAllowed.New("only the top site %s changes the hierarchy", v.Hier.Top).
			In("Nothing was changed").Then("ask the administrator of %s", v.Hier.Top)
	}
	s, ok := v.Hier.Active(code)
	if !ok {
		return site.Site{}, site.NoSuch.New("%s is not a member of the hierarchy", code).Then("fardel site list")
	}
	if code == v.Hier.Top {
		return site.Site{}, site.BadUsage.New("%s is the top: its keys stand in the charter", code)
	}
	return s, nil
}

// TrustEntry returns the file that proves a site's card to somebody who holds
// only the charter, and the index of the entry in the top's log. It is made
// from the checkpoint that is held here.
func (v *View) TrustEntry(code site.Code) (data []byte, index int64, err error) {
	id := site.LogID{Site: v.Hier.Top, Log: site.Decisions}
	_, index, ok, err := v.Latest(id, site.KindSite, string(code))
	if err != nil {
		return nil, 0, err
	}
	if !ok {
		return nil, 0, site.NoSuch.New("%s has not yet heard that it is a member of the hierarchy", code).
			Then("import the first medium from the parent")
	}
	data, err = v.proveEntry(id, index)
	return data, index, err
}
