package main

import (
	"regexp"
	"strings"
	"testing"

	"fardel/site"
)

func TestEveryExitCodeHasAMeaning(t *testing.T) {
	for _, l := range exitCodes() {
		if l.Meaning == "" {
			t.Errorf("exit code %d (%s) has no meaning", l.Exit, strings.Join(l.IDs, " "))
		}
	}
	for exit := range meanings {
		found := false
		for _, l := range exitCodes() {
			found = found || l.Exit == exit
		}
		if !found {
			t.Errorf("exit code %d has a meaning, but nothing ends with it", exit)
		}
	}
}

func TestEveryTopicIsThere(t *testing.T) {
	for _, topic := range topics {
		text, ok := topicText(topic.name)
		if !ok || len(text) < 200 {
			t.Errorf("%s is missing or empty", topic.name)
		}
		if wide := tooWide(text); wide != "" {
			t.Errorf("%s: %s", topic.name, wide)
		}
	}
	files, err := topicFiles.ReadDir("topics")
	if err != nil || len(files) != len(topics) {
		t.Errorf("%d files for %d topics, %v", len(files), len(topics), err)
	}
}

// TestEveryVariableIsDocumented holds the topic against the flags.
func TestEveryVariableIsDocumented(t *testing.T) {
	text, _ := topicText("environment")
	for _, f := range globalFlags {
		if f.Env != "" && !strings.Contains(text, f.Env+" ") {
			t.Errorf("%s is not in the topic", f.Env)
		}
	}
}

// TestTextsNameRealCommands reads every "fardel WORD WORD" in the topics and in
// the faults, and looks it up.
func TestTextsNameRealCommands(t *testing.T) {
	table := commands()
	if c, _ := table.find([]string{"init"}); c == nil {
		t.Skip("the commands of sites are not part of this build")
	}
	texts := map[string]string{}
	for _, topic := range topics {
		texts[topic.name], _ = topicText(topic.name)
	}
	for _, c := range site.Classes() {
		texts[c.Name()] = c.Cure
	}
	for name, text := range texts {
		for _, typed := range typedCommands(text) {
			if c, _ := table.find(typed); c == nil {
				t.Errorf("%s names %q", name, strings.Join(typed, " "))
			}
		}
	}
}

var typedCommand = regexp.MustCompile(`\bfardel ([a-z]+(?:\s+[a-z-]+)?)\b`)

// typedCommands returns the words after each "fardel" that is followed by
// something like a command. Where two words are no command, one may be.
func typedCommands(text string) [][]string {
	var all [][]string
	for _, m := range typedCommand.FindAllStringSubmatch(text, -1) {
		words := strings.Fields(m[1])
		switch words[0] {
		case "here", "itself", "is", "happened": // prose
			continue
		}
		all = append(all, words)
	}
	return all
}

func TestTypedCommands(t *testing.T) {
	got := typedCommands("Run fardel site rekey CODE. Upgrade fardel here, or fardel import.")
	if len(got) != 2 || strings.Join(got[0], " ") != "site rekey" || strings.Join(got[1], " ") != "import" {
		t.Errorf("got %q", got)
	}
}
