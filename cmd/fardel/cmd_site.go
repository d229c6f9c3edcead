package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"fardel/replicator"
	"fardel/site"
	"fardel/site/charter"
	"fardel/site/host"
)

func siteCommands() []*Command {
	return []*Command{
		{
			Name: "site add", Args: "CARD",
			Short: "take a site into the hierarchy, by its card",
			Long: "The card is the file that fardel init wrote at the new site; a code names a card that was handed in at a site below. " +
				"Compare the key's fingerprint with the operator there by phone.",
			Examples: []string{"fardel site add fld.card", "fardel site add fld.card --parent EU1", "fardel site add FLD  # handed in at EU1"},
			Flags: []Flag{
				Text("parent", "CODE", "the site above it, if not the one that its card names"),
				List("rights", "RIGHT", "what it may do: publish packages, decide for the sites below it"),
			},
			Run: siteAdd,
		},
		{
			Name: "site kit", Args: "CODE DIR",
			Short:    "make an enrolment kit: a new site in one trip",
			Long:     "The kit holds new keys for the site, sealed with a passphrase that goes another way than the kit.",
			Examples: []string{"fardel site kit FLD /media/usb --name Depot"},
			Flags: []Flag{
				Text("name", "NAME", "what people call the site"), Text("parent", "CODE", "the site above it; this one if left out"),
				List("rights", "RIGHT", "publish, decide"), FlagPassphraseFile,
			},
			Run: siteKit,
		},
		{
			Name: "site list", Short: "list the sites, and what came from and went to each",
			Run: siteList,
		},
		{
			Name: "site show", Args: "[CODE]", Short: "show one site", Complete: completeSites, Run: siteShow,
		},
		{
			Name: "site grant", Args: "CODE [RIGHT...]", Short: "set what a site may do; none takes all rights away",
			Examples: []string{"fardel site grant EU1 publish decide", "fardel site grant EU1"},
			Complete: completeSites, Run: siteGrant,
		},
		{
			Name: "site rekey", Args: "CODE CARD", Short: "give a site the keys of a new card",
			Long:     "With --lost the old keys are revoked: what they sign from now on is void, and the site is sent everything again.",
			Examples: []string{"fardel site rekey FLD fld.card", "fardel site rekey FLD fld.card --lost"},
			Flags:    []Flag{Switch("lost", "the old keys may be in other hands")},
			Complete: completeSites, Run: siteRekey,
		},
		{
			Name: "site remove", Args: "CODE", Short: "take a site out of the hierarchy, for ever", Complete: completeSites, Run: siteRemove,
		},
		{
			Name: "site card", Short: "write this site's card", Args: "[DIR]", Run: siteCard,
		},
	}
}

type siteChange struct {
	Site        site.Code `json:"site"`
	Done        string    `json:"done"`
	Fingerprint string    `json:"fingerprint,omitempty"`
	Path        string    `json:"path,omitempty"`
}

func (siteChange) Kind() string { return "SiteChange" }

func (r siteChange) Text(w *Printer) {
	w.Para("%s", r.Done)
	if r.Fingerprint != "" {
		w.Fields([2]string{"Key", r.Fingerprint + "\ncompare with its operator by phone, who sees it in: fardel site show"})
	}
}

func siteAdd(ctx context.Context, env *Env, in *Input) (Result, error) {
	var parent site.Code
	var err error
	if p := in.String("parent"); p != "" {
		if parent, err = site.ParseCode(p); err != nil {
			return nil, err
		}
	}
	allowed, err := rights(in.Strings("rights"))
	if err != nil {
		return nil, err
	}
	var res siteChange
	err = env.withSite(ctx, "site add", func(h *host.Host) error {
		card, err := findCard(h, in.Arg("CARD"), &parent)
		if err != nil {
			return err
		}
		s, err := h.AddSite(card, parent, allowed)
		if err != nil {
			return err
		}
		if s.Code == "" {
			c, err := charter.ParseCard(card)
			if err != nil {
				return err
			}
			res = siteChange{Site: c.Site, Done: fmt.Sprintf("Only the top site admits sites. The card of %s was put into this site's log "+
				"and reaches the top with the next parcel.", c.Site)}
			env.Next("fardel export --all /media/usb")
			return nil
		}
		res = siteChange{Site: s.Code, Done: fmt.Sprintf("Site %s %q is a member of the hierarchy, below %s.", s.Code, s.Name, s.Parent),
			Fingerprint: charter.Words(site.DigestOf([]byte(s.Key().Sign)))}
		env.Next("fardel package add DIR --to %s", s.Code)
		env.Next("fardel export %s /media/usb", s.Code)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// findCard reads a card from a file, or takes the one that was handed in for a
// code.
func findCard(h *host.Host, word string, parent *site.Code) ([]byte, error) {
	if _, err := os.Stat(word); err == nil || looksLikePath(word) {
		return readFile(word, "card")
	}
	var card []byte
	err := h.View(func(v *host.View) error {
		list, err := v.Enrolments()
		for _, e := range list {
			if string(e.Code) == strings.ToUpper(word) {
				card = []byte(e.Card)
				if *parent == "" {
					*parent = e.Parent
				}
			}
		}
		return err
	})
	if err == nil && card == nil {
		err = site.NoSuch.New("there is no file %s, and no card of a site %s was handed in", word, strings.ToUpper(word))
	}
	return card, err
}

func siteKit(ctx context.Context, env *Env, in *Input) (Result, error) {
	code, err := site.ParseCode(in.Arg("CODE"))
	if err != nil {
		return nil, err
	}
	allowed, err := rights(in.Strings("rights"))
	if err != nil {
		return nil, err
	}
	name := in.String("name")
	if name == "" {
		name = string(code)
	}
	var res siteChange
	err = env.withSite(ctx, "site kit", func(h *host.Host) error {
		pass, err := env.NewPassphrase(ctx, in, "the kit")
		if err != nil {
			return err
		}
		path, err := h.MakeKit(code, name, site.Code(strings.ToUpper(in.String("parent"))), allowed, in.Arg("DIR"), string(pass))
		if err != nil {
			return err
		}
		res = siteChange{Site: code, Path: path, Done: fmt.Sprintf("The kit for %s %q is %s. It holds the site's keys: send the passphrase another way.", code, name, path)}
		env.Next("fardel export %s %s    so that the same medium brings the first parcel", code, in.Arg("DIR"))
		env.Next("fardel init --kit PATH    at %s", code)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// siteLine is one site as lists show it.
type siteLine struct {
	Code      site.Code      `json:"code"`
	Name      string         `json:"name"`
	Parent    site.Code      `json:"parent,omitempty"`
	State     site.SiteState `json:"state"`
	Rights    []site.Right   `json:"rights,omitempty"`
	This      bool           `json:"this"`
	Applied   int64          `json:"applied"`    // highest parcel of its that was applied here
	AppliedAt string         `json:"applied_at"` //
	Handed    int64          `json:"handed"`     // our last parcel to it
	Confirmed int64          `json:"confirmed"`  // our last parcel that it has applied
	Waiting   int64          `json:"waiting"`    // bytes of content that no parcel has carried yet
	Entries   int64          `json:"waiting_entries"`
	Pending   bool           `json:"pending,omitempty"` // a card that waits to be admitted
}

type siteListResult []siteLine

func (siteListResult) Kind() string { return "SiteList" }

func (r siteListResult) Text(w *Printer) {
	rows := [][]string{}
	for _, s := range r {
		name, in, out, confirmed, waits := s.Name, "-", "-", "-", "-"
		if s.This {
			name += " (this site)"
		}
		if s.State == site.SiteRemoved {
			name += " (removed)"
		}
		if s.Pending {
			name = "waits for: fardel site add " + string(s.Code)
		}
		if s.Applied > 0 {
			in = fmt.Sprintf("%d, %s", s.Applied, s.AppliedAt[:10])
		}
		if s.Handed > 0 {
			out, confirmed = fmt.Sprint(s.Handed), fmt.Sprintf("%d of %d", s.Confirmed, s.Handed)
		}
		if s.Waiting > 0 || s.Entries > 0 {
			waits = Bytes(s.Waiting)
		}
		rows = append(rows, []string{string(s.Code), name, dash(string(s.Parent)), in, out, confirmed, waits})
	}
	w.Table([]string{"CODE", "NAME", "PARENT", "LAST IN", "LAST OUT", "CONFIRMED", ">WAITING"}, rows)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func siteList(ctx context.Context, env *Env, _ *Input) (Result, error) {
	res := siteListResult{}
	err := env.withReplicator(ctx, "site list", "", func(h *host.Host, r *replicator.Replicator) (err error) {
		res, err = siteLines(ctx, h, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(res) == 1 {
		env.Next("fardel site add CARD    to take in a site below this one")
	}
	return res, nil
}

func siteLines(ctx context.Context, h *host.Host, r *replicator.Replicator) (siteListResult, error) {
	res := siteListResult{}
	var related []site.Code
	err := h.View(func(v *host.View) error {
		for code, s := range v.Hier.Sites {
			l, err := v.Link(code)
			if err != nil {
				return err
			}
			res = append(res, siteLine{
				Code: code, Name: s.Name, Parent: s.Parent, State: s.State, Rights: s.Rights, This: code == h.Self,
				Applied: l.Applied, AppliedAt: l.AppliedAt, Handed: l.Handed, Confirmed: l.Confirmed,
			})
			if code != h.Self && s.State == site.SiteActive && v.Hier.Related(h.Self, code) {
				related = append(related, code)
			}
		}
		waiting, err := v.Enrolments()
		for _, e := range waiting {
			res = append(res, siteLine{Code: e.Code, Parent: e.Parent, Name: "handed in at " + string(e.At), Pending: true})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, code := range related {
		plan, err := r.Waiting(ctx, code)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(res, func(s siteLine) bool { return s.Code == code && !s.Pending })
		if plan.Active {
			res[i].Waiting, res[i].Entries = plan.Bytes(), plan.Entries
		}
	}
	slices.SortFunc(res, func(a, b siteLine) int {
		if (a.Parent == "") != (b.Parent == "") {
			return len(a.Parent) - len(b.Parent)
		}
		return strings.Compare(string(a.Code), string(b.Code))
	})
	return res, nil
}

type siteDetail struct {
	siteLine
	Words string         `json:"words"`
	Keys  []site.SiteKey `json:"keys"`
	Path  []site.Code    `json:"path"`
}

func (siteDetail) Kind() string { return "Site" }

func (r siteDetail) Text(w *Printer) {
	path := make([]string, len(r.Path))
	for i, c := range r.Path {
		path[len(path)-1-i] = string(c)
	}
	var given []string
	for _, x := range r.Rights {
		given = append(given, string(x))
	}
	rows := [][2]string{{"Site", fmt.Sprintf("%s %q", r.Code, r.Name)}, {"State", string(r.State)}, {"Place", strings.Join(path, " > ")},
		{"Rights", strings.Join(given, ", ")}, {"Root", r.Words}}
	for _, k := range r.Keys {
		state := "current"
		if k.End != nil {
			state = "replaced"
			if k.End.Revoked {
				state = Bad("revoked")
			}
		}
		rows = append(rows, [2]string{fmt.Sprintf("Key %d", k.Serial), charter.Words(site.DigestOf([]byte(k.Sign))) + "    " + state})
	}
	if !r.This {
		rows = append(rows, [2]string{"Last in", lastIn(r.siteLine)}, [2]string{"Last out", lastOut(r.siteLine)})
	}
	w.Fields(rows...)
}

func lastIn(s siteLine) string {
	if s.Applied == 0 {
		return "nothing yet"
	}
	return fmt.Sprintf("parcel %d, %s", s.Applied, minute(s.AppliedAt))
}

func lastOut(s siteLine) string {
	if s.Handed == 0 {
		return "nothing yet"
	}
	return fmt.Sprintf("parcel %d; confirmed up to %d", s.Handed, s.Confirmed)
}

func siteShow(ctx context.Context, env *Env, in *Input) (Result, error) {
	var res siteDetail
	err := env.withReplicator(ctx, "site show", "", func(h *host.Host, r *replicator.Replicator) error {
		code := h.Self
		if in.Arg("CODE") != "" {
			var err error
			if code, err = site.ParseCode(in.Arg("CODE")); err != nil {
				return err
			}
		}
		lines, err := siteLines(ctx, h, r)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(lines, func(s siteLine) bool { return s.Code == code })
		if i < 0 {
			return site.NoSuch.New("%s is not a member of the hierarchy", code).Then("fardel site list")
		}
		res.siteLine, res.Words = lines[i], h.Words()
		return h.View(func(v *host.View) error {
			res.Keys, res.Path = v.Hier.Sites[code].Keys, v.Hier.Path(code)
			if code == h.Self && len(res.Keys) == 0 {
				res.Keys = []site.SiteKey{h.Keys.SiteKey(1)}
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

func siteGrant(ctx context.Context, env *Env, in *Input) (Result, error) {
	code, err := site.ParseCode(in.Args[0])
	if err != nil {
		return nil, err
	}
	allowed, err := rights(in.Args[1:])
	if err != nil {
		return nil, err
	}
	if err := env.withSite(ctx, "site grant", func(h *host.Host) error { return h.GrantRights(code, allowed) }); err != nil {
		return nil, err
	}
	what := "no rights"
	if len(allowed) > 0 {
		what = "the rights: " + strings.Join(in.Args[1:], ", ")
	}
	return siteChange{Site: code, Done: fmt.Sprintf("%s has %s.", code, what)}, nil
}

func siteRekey(ctx context.Context, env *Env, in *Input) (Result, error) {
	code, err := site.ParseCode(in.Arg("CODE"))
	if err != nil {
		return nil, err
	}
	card, err := readFile(in.Arg("CARD"), "card")
	if err != nil {
		return nil, err
	}
	lost := in.Bool("lost")
	if lost {
		if err := env.Confirm(ctx, "Revoke the old keys of %s? What they sign from now on will be void everywhere.", code); err != nil {
			return nil, err
		}
	}
	if err := env.withSite(ctx, "site rekey", func(h *host.Host) error { return h.RekeySite(code, card, lost) }); err != nil {
		return nil, err
	}
	done := fmt.Sprintf("%s has new keys; the old ones were replaced in good order.", code)
	if lost {
		done = fmt.Sprintf("%s has new keys; the old ones are revoked. Assume that media sealed to them can be read by others.", code)
	}
	env.Next("fardel export %s /media/usb    everything it needs goes with it", code)
	return siteChange{Site: code, Done: done}, nil
}

func siteRemove(ctx context.Context, env *Env, in *Input) (Result, error) {
	code, err := site.ParseCode(in.Arg("CODE"))
	if err != nil {
		return nil, err
	}
	if err := env.Confirm(ctx, "Remove %s from the hierarchy? Its code can never be used again.", code); err != nil {
		return nil, err
	}
	if err := env.withSite(ctx, "site remove", func(h *host.Host) error { return h.RemoveSite(code) }); err != nil {
		return nil, err
	}
	return siteChange{Site: code, Done: fmt.Sprintf("%s is no longer a member. Nothing of its is accepted from now on.", code)}, nil
}

func siteCard(ctx context.Context, env *Env, in *Input) (Result, error) {
	var res siteChange
	err := env.withSite(ctx, "site card", func(h *host.Host) error {
		path, err := h.WriteCard()
		if err != nil {
			return err
		}
		if dir := in.Arg("DIR"); dir != "" {
			dst := dir + "/" + h.Self.Lower() + ".card"
			if err := host.CopyFile(dst, path, 0o644); err != nil {
				return site.Failed.New("cannot write %s: %s", dst, reason(err))
			}
			path = dst
		}
		res = siteChange{Site: h.Self, Path: path, Done: "The card of " + string(h.Self) + " is " + path + "."}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}
