package main

import (
	"context"
	"fmt"
	"strings"

	"fardel/replicator"
	"fardel/site"
	"fardel/site/host"
)

func statusCommands() []*Command {
	return []*Command{{
		Name: "status", Short: "what this site holds, what waits, and what needs somebody",
		Run: runStatus,
	}}
}

type need struct {
	Text string `json:"text"`
	Do   string `json:"do"`
}

type statusResult struct {
	Site     site.Code      `json:"site"`
	Name     string         `json:"name"`
	Parent   site.Code      `json:"parent,omitempty"`
	Words    string         `json:"words"`
	Needs    []need         `json:"needs"`
	Sites    siteListResult `json:"sites"`
	Packages int            `json:"packages"`
	Complete int            `json:"complete"`
	Files    int64          `json:"waiting_files"`
	Relays   []string       `json:"relays"`
	Held     []string       `json:"held"`
	Alarms   []string       `json:"alarms"`
	Free     int64          `json:"free"`
	Backup   string         `json:"backup,omitempty"`
}

func (statusResult) Kind() string { return "Status" }

func (r statusResult) Text(w *Printer) {
	place := "top of its hierarchy"
	if r.Parent != "" {
		place = "child of " + string(r.Parent)
	}
	health := Good("nothing needs you")
	if n := len(r.Needs); n > 0 {
		health = Notable(Count(int64(n), "thing") + " to do")
	}
	w.Line("%s %q   %s   %s", r.Site, r.Name, place, health)
	for _, n := range r.Needs {
		w.Para("  ! %s", n.Text)
		w.Line("      %s", n.Do)
	}
	w.Fields([2]string{"Packages", fmt.Sprintf("%d of %d complete here", r.Complete, r.Packages)},
		[2]string{"Waiting for", waitingText(r.Files)}, [2]string{"Passing through", strings.Join(r.Relays, ", ")},
		[2]string{"Held", strings.Join(r.Held, ", ")}, [2]string{"Free", Bytes(r.Free)}, [2]string{"Key backup", orNever(day(r.Backup))})
	if len(r.Sites) > 1 {
		w.Line("")
		r.Sites.Text(w)
	}
}

func orNever(s string) string {
	if s == "" {
		return "never"
	}
	return s
}

func waitingText(n int64) string {
	if n == 0 {
		return ""
	}
	return Count(n, "file")
}

func runStatus(ctx context.Context, env *Env, _ *Input) (Result, error) {
	res := statusResult{Needs: []need{}, Relays: []string{}, Held: []string{}, Alarms: []string{}}
	err := env.withReplicator(ctx, "status", "", func(h *host.Host, r *replicator.Replicator) error {
		res.Site, res.Name, res.Words = h.Self, h.Me.Name, h.Words()
		var err error
		if res.Sites, err = siteLines(ctx, h, r); err != nil {
			return err
		}
		relays, err := r.Relays("")
		if err != nil {
			return err
		}
		for _, p := range relays {
			res.Relays = append(res.Relays, p.Name.String())
		}
		if res.Free, err = h.Library.Space(); err != nil {
			return err
		}
		return h.View(func(v *host.View) error { return res.fill(v) })
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

func (r *statusResult) fill(v *host.View) error {
	r.Parent = v.Parent()
	packages, err := v.Packages()
	if err != nil {
		return err
	}
	for _, p := range packages {
		if _, wanted, err := v.WantedHere(p); err != nil || !wanted {
			if err != nil {
				return err
			}
			continue
		}
		r.Packages++
		c, err := v.Content(p.ID)
		if err != nil {
			return err
		}
		if c.State == site.ContentInstalled && c.Source == p.Source {
			r.Complete++
		} else if c.Missing > 0 {
			r.Files += c.Missing
		}
	}
	return r.fillNeeds(v)
}

// fillNeeds lists what only a person can do.
func (r *statusResult) fillNeeds(v *host.View) error {
	f, fenced, err := v.Fenced()
	if err != nil {
		return err
	}
	if fenced {
		r.need("fenced since %s: %s. Nothing new is signed", "fardel import    a medium from a neighbour; only if nobody has the lost entries: fardel recover", f.Since, f.Why)
	}
	saved, ok, err := v.LastBackup()
	if err != nil {
		return err
	}
	if r.Backup = saved.At; !ok {
		r.need("the keys exist on this machine only", "fardel key backup /media/safe")
	}
	arrivals, err := replicator.Arrivals(v)
	if err != nil {
		return err
	}
	for _, a := range arrivals {
		if a.State == replicator.ArrivalHeld {
			r.Held = append(r.Held, a.Name().String())
			r.need("parcel %s is held: parcel %d of %s has not arrived", "fardel import    the missing medium; if it is lost, ask %s for: fardel export "+string(v.Host.Self)+" --full", a.Name(), a.After, a.From)
		}
	}
	if v.IsTop() {
		waiting, err := v.Enrolments()
		if err != nil {
			return err
		}
		for _, e := range waiting {
			r.need("%s wants to join below %s; its card was handed in at %s", "fardel site add "+string(e.Code), e.Code, e.Parent, e.At)
		}
	}
	return r.fillAlarms(v)
}

func (r *statusResult) need(text, do string, args ...any) {
	if strings.Contains(do, "%s") {
		do = fmt.Sprintf(do, args[len(args)-1])
	}
	r.Needs = append(r.Needs, need{fmt.Sprintf(text, args...), do})
}

// fillAlarms gathers the alarms of this site and of those whose observations
// reach it.
func (r *statusResult) fillAlarms(v *host.View) error {
	for code := range v.Hier.Sites {
		log := site.LogID{Site: code, Log: site.Observations}
		err := v.Objects(log, site.KindAlarm, func(e site.Entry, _ int64) error {
			var b site.AlarmBody
			if e.Decode(&b) == nil {
				r.Alarms = append(r.Alarms, fmt.Sprintf("%s at %s: %s: %s", site.Moment(e.At), code, b.About, b.Text))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, a := range r.Alarms {
		r.need("alarm, %s", "fardel help recovery", a)
	}
	return nil
}
