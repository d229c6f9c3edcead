package main

import (
	"context"
	"fmt"
)

func configCommands() []*Command {
	return []*Command{
		{
			Name:  "config show",
			Short: "show every setting, its value, and where the value comes from",
			Long: "The file is TOML. A setting that is not in it has its default. Routes stand in tables of their own, " +
				"one for each site.",
			Examples: []string{
				"fardel config show",
				"fardel config show --config ./test.toml  # of another file",
			},
			Run: configShow,
		},
		{
			Name:  "config check",
			Short: "check the configuration file and change nothing",
			Examples: []string{
				"fardel config check",
				"fardel config check -c ./new.toml  # before it is put in place",
			},
			Run: configCheck,
		},
		{
			Name:     "config path",
			Short:    "print which configuration file is read",
			NoConfig: true,
			Run:      configPath,
		},
	}
}

// A configValue is one setting as it holds.
type configValue struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"` // "default", or file:line
	Usage  string `json:"usage"`
}

type configResult []configValue

func (configResult) Kind() string { return "ConfigList" }

func (r configResult) Text(w *Printer) {
	rows := [][]string{}
	for _, v := range r {
		rows = append(rows, []string{v.Key, v.Value, v.Origin})
	}
	w.Table([]string{"SETTING", "VALUE", "FROM"}, rows)
	w.Line("")
	usage := [][2]string{}
	for _, s := range siteSettings {
		usage = append(usage, [2]string{s.key, s.usage})
	}
	for _, s := range routeSettings {
		usage = append(usage, [2]string{"route.CODE." + s.key, s.usage})
	}
	w.Fields(usage...)
}

func configShow(_ context.Context, env *Env, _ *Input) (Result, error) {
	c := &env.Config
	origin := func(key string) string {
		if n := c.lines[key]; n > 0 {
			return fmt.Sprintf("%s:%d", env.ConfigPath, n)
		}
		return "default"
	}
	r := configResult{}
	for _, s := range siteSettings {
		r = append(r, configValue{s.key, s.get(c), origin(s.key), s.usage})
	}
	for _, code := range c.sortedRoutes() {
		route := c.Route(code)
		for _, s := range routeSettings {
			key := "route." + string(code) + "." + s.key
			r = append(r, configValue{key, s.get(&route), origin(key), s.usage})
		}
	}
	return r, nil
}

type configCheckResult struct {
	Path     string `json:"path"`
	Present  bool   `json:"present"`
	Settings int    `json:"settings"` // how many the file holds
}

func (configCheckResult) Kind() string { return "ConfigCheck" }

func (r configCheckResult) Text(w *Printer) {
	if !r.Present {
		w.Para("%s is not there: all settings have their defaults.", r.Path)
		return
	}
	w.Para("%s is %s: %s.", r.Path, Good("good"), Count(int64(r.Settings), "setting"))
}

func configCheck(_ context.Context, env *Env, _ *Input) (Result, error) {
	r := configCheckResult{Path: env.ConfigPath, Present: env.Config.lines != nil}
	for _, s := range siteSettings {
		if env.Config.lines[s.key] > 0 {
			r.Settings++
		}
	}
	for _, code := range env.Config.sortedRoutes() {
		for _, s := range routeSettings {
			if env.Config.lines["route."+string(code)+"."+s.key] > 0 {
				r.Settings++
			}
		}
	}
	return r, nil
}

type pathResult struct {
	Path string `json:"path"`
}

func (pathResult) Kind() string      { return "ConfigPath" }
func (r pathResult) Text(w *Printer) { w.Line("%s", r.Path) }

func configPath(_ context.Context, env *Env, _ *Input) (Result, error) {
	return pathResult{env.ConfigPath}, nil
}
