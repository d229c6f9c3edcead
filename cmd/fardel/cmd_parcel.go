package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"fardel/courier"
	"fardel/replicator"
	"fardel/site"
	"fardel/site/host"
)

func parcelCommands() []*Command {
	name := "PARCEL"
	return []*Command{
		{
			Name: "parcel list", Short: "list the parcels that left and arrived",
			Flags: []Flag{List("to", "SITE", "only those to one site")}, Run: parcelList,
		},
		{Name: "parcel show", Args: name, Short: "show one parcel", Examples: []string{"fardel parcel show HQ0-FLD-000042"}, Run: parcelShow},
		{
			Name: "parcel inspect", Args: "PATH", Short: "read the labels on a medium, without keys",
			Long: "PATH is a medium, a folder that holds a FARDEL folder, or one label file.", Examples: []string{"fardel parcel inspect /media/usb"},
			NoConfig: true, Run: parcelInspect,
		},
		{
			Name: "parcel verify", Args: "PATH", Short: "check signatures and all files on a medium, without keys",
			Long:     "The charter on the medium says who may sign. Compare the words of its root with somebody who knows them, or give them with --root.",
			Examples: []string{"fardel parcel verify /media/usb --root amber-tiger-..."},
			Flags:    []Flag{Text("root", "WORDS", "the ten words of the root that is trusted")}, NoConfig: true, Run: parcelVerify,
		},
		{
			Name: "parcel mark-sent", Args: name, Short: "note that a parcel's medium has left",
			Flags: []Flag{Text("carrier", "TEXT", "who carries it"), Text("tracking", "TEXT", "under which number")}, Run: parcelMarkSent,
		},
		{
			Name: "parcel resend", Args: name, Short: "have the content of a parcel go again with the next export",
			Long: "The next parcel carries what this one did, as far as it is still wanted; nothing has to be named.", Run: parcelResend,
		},
		{
			Name: "parcel hold", Args: name, Short: "keep a parcel from leaving",
			Long: "Until it is released it cannot be marked as sent, its medium is not ejected, and nothing else is exported for its site: " +
				"the next parcel would carry the same. A medium that was written already has to be kept back by hand.",
			Run: parcelHold(true),
		},
		{Name: "parcel release", Args: name, Short: "let a parcel leave that was held", Run: parcelHold(false)},
		{Name: "parcel label", Args: name, Short: "print a label to stick on the medium, as text", Run: parcelLabel},
	}
}

func parcelName(in *Input) (site.ParcelName, error) { return site.ParseParcelName(in.Args[0]) }

type parcelLine struct {
	replicator.Parcel
	Direction string `json:"direction"` // out or in
}

type parcelListResult []parcelLine

func (parcelListResult) Kind() string { return "ParcelList" }

func (r parcelListResult) Text(w *Printer) {
	if len(r) == 0 {
		w.Para("No parcel has left or arrived.")
		return
	}
	rows := [][]string{}
	for _, p := range r {
		state := string(p.State)
		if p.Hold {
			state += ", on hold"
		}
		if p.Direction == "out" && p.Arrived && p.State == replicator.StateSent {
			state = "sent, content missing"
		}
		rows = append(rows, []string{p.Name().String(), p.Direction, state, day(p.Made), Bytes(p.Bytes), fmt.Sprint(p.Media), dash(strings.TrimSpace(p.Carrier + " " + p.Tracking)), dash(day(p.Confirmed))})
	}
	w.Table([]string{"PARCEL", "WAY", "STATE", "MADE", ">SIZE", ">MEDIA", "CARRIER", "CONFIRMED"}, rows)
}

func parcelList(ctx context.Context, env *Env, in *Input) (Result, error) {
	res := parcelListResult{}
	var to site.Code
	if in.Has("to") {
		var err error
		if to, err = site.ParseCode(in.Strings("to")[0]); err != nil {
			return nil, err
		}
	}
	err := env.withSite(ctx, "parcel list", func(h *host.Host) error {
		return h.View(func(v *host.View) error {
			out, err := replicator.Parcels(v, to)
			if err != nil {
				return err
			}
			for _, p := range out {
				p.Secret = ""
				res = append(res, parcelLine{p, "out"})
			}
			if to != "" {
				return nil
			}
			in, err := replicator.Arrivals(v)
			for _, a := range in {
				res = append(res, parcelLine{arrivalLine(a), "in"})
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

func arrivalLine(a replicator.Arrival) replicator.Parcel {
	p := replicator.Parcel{From: a.From, To: a.To, Number: a.Number, After: a.After, Label: a.Label, State: replicator.State(a.State),
		Bytes: a.Bytes, Made: a.Created, By: a.By, Media: 1}
	if a.State == replicator.ArrivalApplied {
		p.Confirmed = a.At
	}
	return p
}

type parcelDetail struct{ parcelLine }

func (parcelDetail) Kind() string { return "Parcel" }

func (r parcelDetail) Text(w *Printer) {
	loads := make([]string, len(r.Loads))
	for i, l := range r.Loads {
		loads[i] = fmt.Sprintf("%s version %d", l.ID, l.Source)
	}
	after := "nothing"
	if r.After > 0 {
		after = fmt.Sprintf("parcel %d", r.After)
	}
	state := string(r.State)
	if r.Hold {
		state += ", held by " + r.HeldBy
	}
	w.Fields([2]string{"Parcel", r.Name().String()}, [2]string{"State", state}, [2]string{"Builds on", after},
		[2]string{"Holds", fmt.Sprintf("%s, %s, %s", Count(r.Entries, "entry"), Count(r.Files, "bundle or segment"), Bytes(r.Bytes))},
		[2]string{"Packages", strings.Join(loads, ", ")}, [2]string{"Made", minute(r.Made) + " by " + r.By}, [2]string{"On", strings.Join(r.Written, ", ")},
		[2]string{"Carrier", strings.TrimSpace(r.Carrier + " " + r.Tracking)}, [2]string{"Sent", minute(r.Sent)}, [2]string{"Confirmed", minute(r.Confirmed)}, [2]string{"Label", r.Label.Short()})
}

func parcelShow(ctx context.Context, env *Env, in *Input) (Result, error) {
	name, err := parcelName(in)
	if err != nil {
		return nil, err
	}
	var res parcelDetail
	err = env.withSite(ctx, "parcel show", func(h *host.Host) error {
		return h.View(func(v *host.View) error {
			p, a, err := replicator.Find(v, name)
			if p != nil {
				p.Secret = ""
				res = parcelDetail{parcelLine{*p, "out"}}
			}
			if a != nil {
				res = parcelDetail{parcelLine{arrivalLine(*a), "in"}}
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

type parcelChange struct {
	Parcel string `json:"parcel"`
	Done   string `json:"done"`
}

func (parcelChange) Kind() string      { return "ParcelChange" }
func (r parcelChange) Text(w *Printer) { w.Para("%s", r.Done) }

func parcelMarkSent(ctx context.Context, env *Env, in *Input) (Result, error) {
	return changeParcel(ctx, env, in, func(p *replicator.Parcel) (string, error) {
		if p.State != replicator.StateCreated && p.State != replicator.StateSent {
			return "", site.BadUsage.New("parcel %s is %s: only one that was created can be sent", p.Name(), p.State).
				In("Nothing was changed").Then("fardel parcel show %s", p.Name())
		}
		if p.Hold {
			return "", site.Gated.New("parcel %s is held by %s", p.Name(), p.HeldBy).
				In("Nothing was changed").Then("fardel parcel release %s    if it may leave", p.Name())
		}
		p.State, p.Carrier, p.Tracking = replicator.StateSent, in.String("carrier"), in.String("tracking")
		if p.Sent == "" {
			p.Sent = site.Moment(env.Now())
		}
		return fmt.Sprintf("Parcel %s is on its way.", p.Name()), nil
	})
}

func parcelHold(hold bool) func(context.Context, *Env, *Input) (Result, error) {
	return func(ctx context.Context, env *Env, in *Input) (Result, error) {
		name, err := parcelName(in)
		if err != nil {
			return nil, err
		}
		err = env.withReplicator(ctx, "parcel hold", "", func(_ *host.Host, r *replicator.Replicator) error {
			return r.SetHold(name, hold, host.Operator())
		})
		if err != nil {
			return nil, err
		}
		if !hold {
			env.Next("fardel export %s /media/usb", name.To)
			return parcelChange{name.String(), fmt.Sprintf("Parcel %s may leave.", name)}, nil
		}
		env.Next("fardel parcel release %s    lets it leave again", name)
		return parcelChange{name.String(), fmt.Sprintf("Parcel %s is held: it is not to leave, and nothing is exported for %s.", name, name.To)}, nil
	}
}

func changeParcel(ctx context.Context, env *Env, in *Input, fn func(*replicator.Parcel) (string, error)) (Result, error) {
	name, err := parcelName(in)
	if err != nil {
		return nil, err
	}
	var done string
	err = env.withReplicator(ctx, "parcel", "", func(_ *host.Host, r *replicator.Replicator) error {
		return r.ChangeParcel(name, func(p *replicator.Parcel) (err error) { done, err = fn(p); return err })
	})
	if err != nil {
		return nil, err
	}
	return parcelChange{name.String(), done}, nil
}

func parcelResend(ctx context.Context, env *Env, in *Input) (Result, error) {
	name, err := parcelName(in)
	if err != nil {
		return nil, err
	}
	err = env.withReplicator(ctx, "parcel resend", "", func(_ *host.Host, r *replicator.Replicator) error { return r.Resend(name) })
	if err != nil {
		return nil, err
	}
	env.Next("fardel export %s /media/usb", name.To)
	return parcelChange{name.String(), fmt.Sprintf("What parcel %s carried, and %s still lacks, goes with the next export.", name, name.To)}, nil
}

// parcelLabel prints what a person sticks onto the medium.
func parcelLabel(ctx context.Context, env *Env, in *Input) (Result, error) {
	name, err := parcelName(in)
	if err != nil {
		return nil, err
	}
	var res stickerResult
	err = env.withSite(ctx, "parcel label", func(h *host.Host) error {
		return h.View(func(v *host.View) error {
			p, _, err := replicator.Find(v, name)
			if err != nil {
				return err
			}
			if p == nil {
				return site.NoSuch.New("parcel %s did not leave from here", name).Then("fardel parcel list")
			}
			res = stickerResult{Parcel: name.String(), From: sticker(v, p.From), To: sticker(v, p.To), Media: p.Media, Made: day(p.Made),
				Tracking: p.Tracking, Label: p.Label.Short()}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

func sticker(v *host.View, c site.Code) string {
	return strings.TrimSpace(string(c) + "  " + v.Hier.Sites[c].Name)
}

type stickerResult struct {
	Parcel   string `json:"parcel"`
	From     string `json:"from"`
	To       string `json:"to"`
	Media    int64  `json:"media"`
	Made     string `json:"made"`
	Tracking string `json:"tracking,omitempty"`
	Label    string `json:"label"`
}

func (stickerResult) Kind() string { return "ParcelLabel" }

func (r stickerResult) Text(w *Printer) {
	for n := int64(1); n <= r.Media; n++ {
		w.Line("+----------------------------------------------------------+")
		for _, line := range []string{r.Parcel, "", "FROM  " + r.From, "TO    " + r.To, fmt.Sprintf("MEDIUM  %d of %d        MADE  %s", n, r.Media, r.Made),
			"LABEL   " + r.Label, "At the destination: plug in, and type  fardel import"} {
			w.Line("| %-56.56s |", line)
		}
		w.Line("+----------------------------------------------------------+")
	}
}

type inspectResult []replicator.Inspection

func (inspectResult) Kind() string { return "InspectionList" }

func (r inspectResult) Text(w *Printer) {
	for i, p := range r {
		if i > 0 {
			w.Line("")
		}
		bundles := "no bundles"
		if p.Bundles > 0 {
			bundles = Count(int64(p.Bundles), "bundle")
		}
		w.Fields([2]string{"Parcel", p.Parcel}, [2]string{"Made", minute(p.Created)}, [2]string{"Builds on", after(p.After)}, [2]string{"Marking", p.Marking},
			[2]string{"Holds", fmt.Sprintf("%s, %s", bundles, Bytes(p.Bytes))},
			[2]string{"Media", fmt.Sprint(p.Media)}, [2]string{"Signature", p.Signature}, [2]string{"Root", p.Words}, [2]string{"Files", p.Files})
		for _, f := range p.Faults {
			w.Indented("%s %s", Bad("!"), f)
		}
	}
}

func after(n int64) string {
	if n == 0 {
		return "nothing: it can be the first"
	}
	return fmt.Sprintf("parcel %d", n)
}

func parcelInspect(ctx context.Context, env *Env, in *Input) (Result, error) {
	return inspect(ctx, in.Arg("PATH"), replicator.InspectOptions{})
}

func parcelVerify(ctx context.Context, env *Env, in *Input) (Result, error) {
	defer env.Progress().Done()
	return inspect(ctx, in.Arg("PATH"), replicator.InspectOptions{Words: in.String("root"), Files: true, Progress: env.bytesDone()})
}

func inspect(ctx context.Context, path string, opts replicator.InspectOptions) (Result, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		opts.Only = filepath.Base(path)
		path = filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(path)))) // FARDEL/FROM/labels/x
	}
	c, err := courier.OpenCarrier(path)
	if errors.Is(err, site.NoParcels) {
		return nil, noParcels(path)
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	list, err := replicator.Inspect(ctx, carrier{c}, opts)
	if len(list) == 0 && err == nil {
		err = noParcels(path)
	}
	return inspectResult(list), err
}
