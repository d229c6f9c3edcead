package main

import (
	"context"
	"fmt"
	"strings"

	"fardel/replicator"
	"fardel/site"
	"fardel/site/host"
)

func receiptCommands() []*Command {
	return []*Command{
		{
			Name: "receipt enter", Args: "CODE...", Short: "take in a receipt code that was read aloud",
			Long:     "The code has sixteen letters and digits. It confirms one parcel; ten wrong codes in a row lock the route.",
			Examples: []string{"fardel receipt enter ABCD-EFGH-IJKL-MNOP --from FLD"},
			Flags:    []Flag{Text("from", "SITE", "who read it out; all sites if left out")}, Run: receiptEnter,
		},
		{Name: "receipt show", Args: "PARCEL", Short: "show the receipt code of a parcel that was imported here", Run: receiptShow},
		{Name: "receipt unlock", Args: "SITE", Short: "let receipt codes of a site in again", Complete: completeSites, Run: receiptUnlock},
	}
}

func receiptEnter(ctx context.Context, env *Env, in *Input) (Result, error) {
	var from site.Code
	if in.Has("from") {
		var err error
		if from, err = site.ParseCode(in.String("from")); err != nil {
			return nil, err
		}
	}
	var p replicator.Parcel
	err := env.withReplicator(ctx, "receipt enter", "", func(_ *host.Host, r *replicator.Replicator) (err error) {
		p, err = r.EnterCode(strings.Join(in.Args, ""), from)
		return err
	})
	if err != nil {
		return nil, err
	}
	done := fmt.Sprintf("Parcel %s is confirmed: %s has all of it.", p.Name(), p.To)
	if p.State != replicator.StateConfirmed {
		done = fmt.Sprintf("%s has applied parcel %s; some of its content is still missing there.", p.To, p.Name())
	}
	return parcelChange{p.Name().String(), done}, nil
}

type codeResult struct {
	Parcel string `json:"parcel"`
	Code   string `json:"code"`
}

func (codeResult) Kind() string      { return "ReceiptCode" }
func (r codeResult) Text(w *Printer) { w.Line("%s", r.Code) }

func receiptShow(ctx context.Context, env *Env, in *Input) (Result, error) {
	name, err := parcelName(in)
	if err != nil {
		return nil, err
	}
	res := codeResult{Parcel: name.String()}
	err = env.withReplicator(ctx, "receipt show", "", func(_ *host.Host, r *replicator.Replicator) (err error) {
		res.Code, err = r.Code(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

func receiptUnlock(ctx context.Context, env *Env, in *Input) (Result, error) {
	code, err := site.ParseCode(in.Arg("SITE"))
	if err != nil {
		return nil, err
	}
	err = env.withReplicator(ctx, "receipt unlock", "", func(_ *host.Host, r *replicator.Replicator) error { return r.UnlockCodes(code) })
	if err != nil {
		return nil, err
	}
	return siteChange{Site: code, Done: fmt.Sprintf("Receipt codes of %s are taken again.", code)}, nil
}
