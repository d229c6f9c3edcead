package host

import (
	"fmt"
	"slices"
	"strings"

	"fardel/site"
	"fardel/site/charter"
	"fardel/site/journal"
	"fardel/site/store"
)

// A View shows the site at one instant: its records, its logs, and what they
// fold into. It is valid only within the function that it was given to.
type View struct {
	*store.Tx
	Host  *Host
	Chain charter.Chain // empty before the first charter has arrived
	Hier  *site.Hierarchy
	Known *charter.Known

	// What was asked for before, for as long as the view lasts.
	peers map[site.Code]map[site.PackageID]site.ContentBody
	below map[site.Code][]site.Code
}

// View calls fn with the site as it stands.
func (h *Host) View(fn func(*View) error) error {
	return h.Store.View(func(tx *store.Tx) error {
		v, err := h.view(tx)
		if err != nil {
			return err
		}
		return fn(v)
	})
}

// Update calls fn with the site as it stands, and makes what fn writes durable
// as a whole or not at all. The function may be called more than once.
func (h *Host) Update(fn func(*View) error) error {
	return h.Store.Update(func(tx *store.Tx) error {
		v, err := h.view(tx)
		if err != nil {
			return err
		}
		return fn(v)
	})
}

// cache keeps what folding the logs has shown, for as long as the logs that it
// came from have not moved.
type cache struct {
	key      string
	chain    charter.Chain
	hier     *site.Hierarchy
	known    *charter.Known
	packages map[string][]*Package // by the positions of all decision logs
}

func (h *Host) view(tx *store.Tx) (*View, error) {
	chain, version, err := h.chain(tx)
	if err != nil {
		return nil, err
	}
	v := &View{Tx: tx, Host: h, Chain: chain}
	key := fmt.Sprint(version)
	if version > 0 {
		head, err := tx.Head(site.LogID{Site: chain.Latest().Top, Log: site.Decisions})
		if err != nil {
			return nil, err
		}
		key += fmt.Sprint(head.Epoch, head.Edge.Size, head.Edge.Root())
	}
	if h.fold.key != key || h.fold.hier == nil {
		hier, err := h.hierarchy(tx, chain)
		if err != nil {
			return nil, err
		}
		h.fold = cache{key: key, chain: chain, hier: hier, packages: map[string][]*Package{}}
		h.fold.known = charter.NewKnown(chain, hier.Sites)
	}
	v.Hier, v.Known = h.fold.hier, h.fold.known
	return v, nil
}

// chain reads the charters that the site has accepted, oldest first.
func (h *Host) chain(tx *store.Tx) (charter.Chain, int, error) {
	var notes [][]byte
	err := tx.Scan(store.Records, charterPrefix, func(_ string, value []byte) error {
		notes = append(notes, slices.Clone(value))
		return nil
	})
	if err != nil || len(notes) == 0 {
		return charter.Chain{}, 0, err
	}
	if len(h.fold.chain.Notes()) > 0 && len(h.fold.chain.Notes()) == len(notes) {
		return h.fold.chain, len(notes), nil
	}
	chain, err := charter.OpenChain(notes, h.Me.Root)
	if err != nil {
		return charter.Chain{}, 0, site.StateDamaged.New("the stored charters do not verify").Because(err)
	}
	return chain, len(notes), nil
}

// hierarchy folds the top site's entries. A site that has not yet heard of
// itself still knows where it belongs.
func (h *Host) hierarchy(tx *store.Tx, chain charter.Chain) (*site.Hierarchy, error) {
	hier := &site.Hierarchy{ID: h.Me.Hierarchy, Sites: map[site.Code]site.Site{}}
	if len(chain.Notes()) > 0 {
		hier.Top = chain.Latest().Top
		hier.Sites[hier.Top] = site.Site{Code: hier.Top, SiteBody: site.SiteBody{State: site.SiteActive}}
		log := site.LogID{Site: hier.Top, Log: site.Decisions}
		err := tx.Objects(log, site.KindSite, func(e site.Entry, _ int64) error {
			var body site.SiteBody
			if err := e.Decode(&body); err != nil {
				return nil // written by a newer version: void here
			}
			if site.Code(e.ID).Valid() {
				hier.Sites[site.Code(e.ID)] = site.Site{Code: site.Code(e.ID), SiteBody: body}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if _, ok := hier.Sites[h.Self]; !ok {
		hier.Sites[h.Self] = site.Site{Code: h.Self, SiteBody: site.SiteBody{
			Name: h.Me.Name, Parent: h.Me.Parent, State: site.SiteActive, Keys: []site.SiteKey{h.Keys.SiteKey(1)},
		}}
	}
	return hier, nil
}

// WithSites returns the view's hierarchy and verifiers with some sites added or
// replaced: those that trust entries beside a label have proved.
func (v *View) WithSites(extra map[site.Code]site.Site) (*site.Hierarchy, *charter.Known) {
	if len(extra) == 0 {
		return v.Hier, v.Known
	}
	hier := &site.Hierarchy{ID: v.Hier.ID, Top: v.Hier.Top, Sites: map[site.Code]site.Site{}}
	for c, s := range v.Hier.Sites {
		hier.Sites[c] = s
	}
	for c, s := range extra {
		hier.Sites[c] = s
	}
	return hier, charter.NewKnown(v.Chain, hier.Sites)
}

// subtree is [site.Hierarchy.Subtree], which each package asks for.
func (v *View) subtree(at site.Code) []site.Code {
	if list, ok := v.below[at]; ok {
		return list
	}
	if v.below == nil {
		v.below = map[site.Code][]site.Code{}
	}
	v.below[at] = v.Hier.Subtree(at)
	return v.below[at]
}

// IsTop reports whether this site is the top of its hierarchy.
func (v *View) IsTop() bool { return v.Hier.Top == v.Host.Self }

// Parent returns the site's parent: as its top says, else as it was set up.
func (v *View) Parent() site.Code { return v.Hier.Sites[v.Host.Self].Parent }

// Own returns the id of one of the site's own logs.
func (h *Host) Own(name site.LogName) site.LogID { return site.LogID{Site: h.Self, Log: name} }

// Position returns how far a log has come here.
func (v *View) Position(id site.LogID) (site.Position, error) {
	head, err := v.Head(id)
	if err != nil || head.Epoch == 0 {
		return site.Position{}, err
	}
	return site.Position{Epoch: head.Epoch, Size: head.Edge.Size, Root: site.Digest(head.Edge.Root())}, nil
}

// Logs returns the logs that are known here and that hold something, in order.
func (v *View) Logs() ([]site.LogPosition, error) {
	var out []site.LogPosition
	for code := range v.Hier.Sites {
		for _, name := range []site.LogName{site.Decisions, site.Observations} {
			id := site.LogID{Site: code, Log: name}
			pos, err := v.Position(id)
			if err != nil {
				return nil, err
			}
			if pos.Epoch > 0 {
				out = append(out, site.LogPosition{LogID: id, Position: pos})
			}
		}
	}
	slices.SortFunc(out, func(a, b site.LogPosition) int { return strings.Compare(a.LogID.String(), b.LogID.String()) })
	return out, nil
}

// Append writes entries to one of the site's own logs and signs its new
// checkpoint, as part of an [Host.Update].
func (v *View) Append(name site.LogName, entries ...site.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	lines := make([][]byte, len(entries))
	for i, e := range entries {
		line, err := e.Line()
		if err != nil {
			return err
		}
		lines[i] = line
	}
	sign := func(c journal.Checkpoint) ([]byte, error) {
		return journal.SignCheckpoint(c, v.Host.Keys.Signer())
	}
	_, err := v.Tx.Append(v.Host.Own(name), lines, sign, v.Host.Me.Hierarchy)
	return err
}

// Link returns what is known of the exchange with a peer.
func (v *View) Link(peer site.Code) (Link, error) {
	l, _, err := store.GetJSON[Link](v.Tx, linkPrefix+string(peer))
	return l, err
}

// PutLink stores what is known of the exchange with a peer.
func (v *View) PutLink(peer site.Code, l Link) error {
	return store.PutJSON(v.Tx, linkPrefix+string(peer), l)
}

// Count returns the next number of a counter, from 1, and stores it.
func (v *View) Count(key string) (int64, error) {
	n, _, err := store.GetJSON[int64](v.Tx, key)
	if err != nil {
		return 0, err
	}
	return n + 1, store.PutJSON(v.Tx, key, n+1)
}

// maxAlarms is how many different alarms about one thing are written. A peer that
// causes more causes no more traffic by it.
const maxAlarms = 20

// Alarm writes an alarm to the site's observations, so that every site above
// hears of it. The same text about the same thing is not written again.
func (v *View) Alarm(about, text string) error {
	body := site.AlarmBody{About: about, Text: text}
	key := "alarm/" + about + "/" + site.DigestOf([]byte(text)).Short()
	if _, known, err := store.GetJSON[site.AlarmBody](v.Tx, key); err != nil || known {
		return err
	}
	if many, err := v.Count("counter/alarms/" + about); err != nil || many > maxAlarms {
		return err
	}
	if err := store.PutJSON(v.Tx, key, body); err != nil {
		return err
	}
	n, err := v.Count(alarmKey)
	if err != nil {
		return err
	}
	e, err := site.NewEntry(v.Host.Now(), site.KindAlarm, fmt.Sprintf("%s/%d", v.Host.Self, n), body)
	if err != nil {
		return err
	}
	return v.Append(site.Observations, e)
}

// PutCharters stores a longer chain of charters. Charters are public, signed and
// kept for ever, so they are stored as soon as they verify.
func (h *Host) PutCharters(chain charter.Chain) error {
	return h.Store.Update(func(tx *store.Tx) error {
		for i, note := range chain.Notes() {
			if err := tx.Put(store.Records, charterKey(i+1), note); err != nil {
				return err
			}
		}
		return nil
	})
}

func charterKey(version int) string { return fmt.Sprintf("%s%06d", charterPrefix, version) }
