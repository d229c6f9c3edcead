package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"fardel/courier"
	"fardel/media"
	"fardel/replicator"
	"fardel/site"
	"fardel/site/host"
)

// hostOptions says how this process opens a site.
func (e *Env) hostOptions(command string) host.Options {
	return host.Options{
		Command: "fardel " + command, Now: e.Now,
		LibraryRoots: e.Config.LibraryRoots, Reserve: e.Config.Reserve,
	}
}

// withSite opens the site, calls fn and closes it again.
func (e *Env) withSite(ctx context.Context, command string, fn func(*host.Host) error) (err error) {
	h, err := host.Open(ctx, e.StateDir, e.hostOptions(command))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	return fn(h)
}

// withReplicator opens the site and what moves parcels in and out of it.
func (e *Env) withReplicator(ctx context.Context, command string, codec string, fn func(*host.Host, *replicator.Replicator) error) error {
	return e.withSite(ctx, command, func(h *host.Host) error {
		budget, err := e.cacheBudget(h)
		if err != nil {
			return err
		}
		opts := replicator.Options{
			Codec: media.Codec(e.Config.Codec), Receipts: e.Config.Receipts, Progress: e.bytesDone(), CacheBytes: budget,
			Route: func(to site.Code) replicator.Route {
				rt := e.Config.Route(to)
				rt.Codec = e.Config.Routes[to].Codec // not the site's: a package's own comes before that
				if codec != "" {
					rt.Codec = codec
				}
				if rt.Baseline == 0 {
					rt.Baseline = math.MaxInt64 // only on demand; the replicator's 0 means its default
				}
				return replicator.Route{Carry: replicator.Carry(rt.Carry), After: rt.AssumedAfter, Baseline: rt.Baseline, Codec: media.Codec(rt.Codec)}
			},
		}
		r, err := replicator.New(h, opts)
		if err != nil {
			return err
		}
		return fn(h, r)
	})
}

// mounted returns the media below the folders that the configuration names.
func (e *Env) mounted(ctx context.Context) ([]courier.Medium, error) {
	if len(e.Config.Media) == 0 {
		return nil, nil // the administrator wants none to be looked at
	}
	return courier.Mounted(ctx, e.Config.Media...)
}

// cacheBudget returns how many bytes of sealed bundles the outbox may keep.
func (e *Env) cacheBudget(h *host.Host) (int64, error) {
	if e.Config.CacheBudget == defaultConfig().CacheBudget {
		return 0, nil // the replicator's default, which is the same
	}
	free, err := h.Library.Space()
	return max(e.Config.CacheBudget.Of(free), 1), err // 0 would be the default
}

// bytesDone shows the progress of lower layers, which count from the beginning
// of each phase.
func (e *Env) bytesDone() func(phase string, done, total int64) {
	p := e.Progress()
	var phase string
	var before int64
	return func(name string, done, total int64) {
		if name != phase {
			p.Phase(name, total)
			phase, before = name, 0
		}
		p.Add(done - before)
		before = done
	}
}

// codes reads site codes that were typed.
func codes(words []string) ([]site.Code, error) {
	var out []site.Code
	for _, w := range words {
		c, err := site.ParseCode(w)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// looksLikePath tells a path from a site code on the command line.
func looksLikePath(word string) bool {
	if strings.ContainsAny(word, "/.") || !site.Code(strings.ToUpper(word)).Valid() {
		return true
	}
	return false
}

func readFile(path, what string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, site.NoSuch.New("cannot read the %s %s: %s", what, path, reason(err)).In("Nothing was changed")
	}
	return b, nil
}

// rights reads the names of rights.
func rights(words []string) ([]site.Right, error) {
	var out []site.Right
	for _, w := range words {
		r := site.Right(w)
		if r != site.RightPublish && r != site.RightDecide {
			return nil, site.BadUsage.New("%q is not a right: the rights are publish and decide", clip(w))
		}
		out = append(out, r)
	}
	return out, nil
}

// completeSites proposes the codes of the sites that are known here.
func completeSites(ctx context.Context, env *Env, _ []string) []string {
	var out []string
	_ = env.withSite(ctx, "completion", func(h *host.Host) error {
		return h.View(func(v *host.View) error {
			for c := range v.Hier.Sites {
				if c != h.Self {
					out = append(out, string(c))
				}
			}
			return nil
		})
	})
	return out
}

// completePackages proposes package ids.
func completePackages(ctx context.Context, env *Env, args []string) []string {
	var out []string
	if len(args) > 0 {
		return nil
	}
	_ = env.withSite(ctx, "completion", func(h *host.Host) error {
		return h.View(func(v *host.View) error {
			list, err := v.Packages()
			for _, p := range list {
				out = append(out, fmt.Sprintf("%s\t%s", p.ID, p.Name))
			}
			return err
		})
	})
	return out
}
