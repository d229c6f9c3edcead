package main

import "strings"

// closest returns the candidate that the word was probably meant to be, or "":
// a wild guess is worse than none. Longer words may differ by more letters. A
// beginning of at least two letters counts as near.
func closest(word string, candidates []string) string {
	if limit(word) == 0 && len(word) != 2 {
		return "" // too short or too long to be a slip
	}
	word = strings.ToLower(word)
	best, least := "", 1+limit(word)
	for _, c := range candidates {
		d := distance(word, c)
		if len(word) >= 2 && strings.HasPrefix(c, word) {
			d = 1
		}
		if d < least {
			best, least = c, d
		}
	}
	return best
}

// limit returns how many slips a word of this length may hold.
func limit(word string) int {
	switch n := len(word); {
	case n < 3:
		return 0
	case n < 5:
		return 1
	case n < 9:
		return 2
	case n < 40:
		return 3
	}
	return 0
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to make one word of the other.
func distance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
