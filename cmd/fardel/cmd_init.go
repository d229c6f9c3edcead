package main

import (
	"context"
	"path/filepath"

	"fardel/site"
	"fardel/site/charter"
	"fardel/site/host"
)

func initCommands() []*Command {
	return []*Command{
		{
			Name:  "init",
			Args:  "[CODE]",
			Short: "set up a site on this machine",
			Long: "Without --parent it is the top of a new hierarchy. With --parent it joins the hierarchy of the site whose " +
				"card is given; its own card then goes to the administrator of the top. With --kit it takes everything from " +
				"an enrolment kit, and no card has to be carried back.",
			Examples: []string{
				"fardel init HQ0 --name Headquarters",
				"fardel init FLD --name Depot --parent hq0.card",
				"fardel init --kit /media/usb  # made by: fardel site kit",
			},
			Flags: []Flag{
				Text("name", "NAME", "what people call the site"),
				Text("parent", "CARD", "the card of the site above"),
				Text("kit", "PATH", "an enrolment kit, or the folder that it is in"),
				Choice("sealing", "x25519|hybrid", "how everything is sealed; hybrid withstands quantum computers").Or("x25519"),
				FlagPassphraseFile,
			},
			Run: runInit,
		},
		{
			Name:     "recover",
			Short:    "go on after this site's own history was lost",
			Long:     "For a site that was restored from a backup and whose lost entries nobody can give back. It begins a new epoch of its logs; the sites around it take that up, or ask their operators.",
			Examples: []string{"fardel recover --reason replaced-disk"},
			Flags:    []Flag{Text("reason", "TEXT", "why, for the record").Or("restored from a backup")},
			Run:      runRecover,
		},
	}
}

type initResult struct {
	Site      site.Code `json:"site"`
	Name      string    `json:"name"`
	State     string    `json:"state"`
	Card      string    `json:"card"`
	Words     string    `json:"words"`
	Hierarchy string    `json:"hierarchy"`
	Parent    site.Code `json:"parent,omitempty"`
}

func (initResult) Kind() string { return "Site" }

func (r initResult) Text(w *Printer) {
	w.Para("Site %s %q is ready in %s.", r.Site, r.Name, r.State)
	purpose := "give this to child sites"
	if r.Parent != "" {
		purpose = "carry this to the administrator of the top site"
	}
	w.Fields([2]string{"Site card", r.Card + "\n" + purpose}, [2]string{"Root", r.Words + "\ncompare these ten words by phone"})
}

func runInit(ctx context.Context, env *Env, in *Input) (Result, error) {
	h, err := setUp(ctx, env, in)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	env.Warn("The keys of %s exist on this machine only. Back them up now.", h.Self)
	env.Next("fardel key backup /media/safe    a sealed copy of the keys, kept elsewhere")
	switch {
	case in.String("kit") != "":
		env.Next("fardel import    the first medium from %s", h.Me.Parent)
	case h.Me.Parent == "":
		env.Next("fardel site add CARD    takes in a site, by the card that fardel init wrote there")
		env.Next("fardel help air-gap    shows the way of the first parcel, step by step")
	default:
		env.Next("fardel site add %s    at the top site, which the card is carried to", filepath.Base(h.CardPath()))
	}
	return initResult{h.Self, h.Me.Name, h.Dir, h.CardPath(), h.Words(), h.Me.Hierarchy, h.Me.Parent}, nil
}

func setUp(ctx context.Context, env *Env, in *Input) (*host.Host, error) {
	opts := env.hostOptions("init")
	if kit := in.String("kit"); kit != "" {
		if in.Arg("CODE") != "" || in.Has("parent") {
			return nil, site.BadUsage.New("a kit says itself which site it is for: leave out the code and --parent")
		}
		pass, err := env.Passphrase(ctx, in, "the kit")
		if err != nil {
			return nil, err
		}
		return host.TakeKit(ctx, env.StateDir, kit, string(pass), opts)
	}
	if in.Arg("CODE") == "" {
		return nil, site.BadUsage.New("a new site needs a code of three letters or digits").
			Then("fardel init HQ0 --name Headquarters").Then("fardel init FLD --parent hq0.card")
	}
	code, err := site.ParseCode(in.Arg("CODE"))
	if err != nil {
		return nil, err
	}
	name := in.String("name")
	if name == "" {
		name = string(code)
	}
	if in.String("parent") == "" {
		return host.Init(ctx, env.StateDir, code, name, charter.Sealing(in.String("sealing")), opts)
	}
	note, err := readFile(in.String("parent"), "card")
	if err != nil {
		return nil, err
	}
	card, err := charter.ParseCard(note)
	if err != nil {
		return nil, site.BadUsage.New("the card %s cannot be read: %v", in.String("parent"), err).In("Nothing was set up")
	}
	return host.Join(ctx, env.StateDir, code, name, card, opts)
}

type recoverResult struct {
	Logs []site.LogPosition `json:"logs"`
}

func (recoverResult) Kind() string { return "Recovery" }

func (r recoverResult) Text(w *Printer) {
	for _, l := range r.Logs {
		w.Para("%s goes on in epoch %d with %s.", l.LogID, l.Epoch, Count(l.Size, "entry"))
	}
	w.Para("The fence is lifted.")
}

func runRecover(ctx context.Context, env *Env, in *Input) (Result, error) {
	var res recoverResult
	err := env.withSite(ctx, "recover", func(h *host.Host) error {
		if err := env.Confirm(ctx, "Begin a new epoch? Entries that only other sites still have will not come back."); err != nil {
			return err
		}
		var err error
		res.Logs, err = h.Recover(ctx, in.String("reason"))
		return err
	})
	if err != nil {
		return nil, err
	}
	env.Next("fardel export --all /media/usb    so that the sites around hear of it")
	return res, nil
}
