package charter

import (
	"crypto/rand"
	"strings"

	"fardel/site"
)

// WordCount is how many words spell a root. Ten bytes of a digest are enough
// that nobody can find another root with the same words.
const WordCount = 10

// Words returns the ten words of a root digest, joined by "-": what two people
// compare over the phone before the first medium is trusted.
func Words(root site.Digest) string { return spell(root[:WordCount]) }

func spell(b []byte) string {
	words := make([]string, len(b))
	for i, n := range b {
		words[i] = wordList[n]
	}
	return strings.Join(words, "-")
}

// ParseWords reads the ten words of a root as a person types them, in any case,
// with spaces, commas or hyphens between them, each cut to no less than its
// first three letters, and returns the bytes that they spell. Faults:
// [site.BadUsage], which names the word that is wrong.
func ParseWords(s string) ([WordCount]byte, error) {
	var b [WordCount]byte
	if len(s) > 400 {
		return b, site.BadUsage.New("that is more than %d words", WordCount)
	}
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return strings.ContainsRune(" \t\r\n,;.-_", r)
	})
	if len(words) != WordCount {
		return b, site.BadUsage.New("%d words where there must be %d", len(words), WordCount)
	}
	for i, word := range words {
		n, ok := findWord(word)
		if !ok {
			return b, site.BadUsage.New("word %d, %q, is not one of the words that Fardel uses", i+1, clip(word))
		}
		b[i] = n
	}
	return b, nil
}

// MatchWords reports whether the words that a person typed are those of the
// root. It fails like [ParseWords] where they are no words at all.
func MatchWords(s string, root site.Digest) (bool, error) {
	b, err := ParseWords(s)
	return err == nil && b == [WordCount]byte(root[:WordCount]), err
}

// NewPassphrase returns ten random words, 80 bits, for a kit or a backup.
func NewPassphrase() string {
	b := make([]byte, WordCount)
	rand.Read(b) // never fails
	return spell(b)
}

// findWord finds a word by its first letters: three are enough, as no two words
// of the list share them.
func findWord(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	for i, word := range wordList {
		if strings.HasPrefix(word, s) {
			return byte(i), true
		}
	}
	return 0, false
}

// wordList never changes: the n-th word stands for the byte n. The words are
// common, differ in their first three letters, and by two letters at least.
var wordList = [256]string{
	"abbey", "acid", "acorn", "agent", "album", "algae", "almond", "amber",
	"anchor", "apple", "apron", "arch", "arena", "armor", "arrow", "atlas",
	"atom", "august", "autumn", "axle", "badge", "bagel", "bamboo", "banjo",
	"barn", "basil", "beacon", "bison", "blanket", "blizzard", "blossom", "bonfire",
	"bottle", "brick", "bronze", "bucket", "bugle", "butter", "cabin", "cactus",
	"camel", "candle", "carbon", "castle", "cedar", "chalk", "cherry", "chimney",
	"cinema", "circus", "citrus", "clover", "cobra", "cocoa", "comet", "copper",
	"coral", "cotton", "cradle", "crystal", "cubic", "curtain", "cypress", "daisy",
	"dancer", "delta", "denim", "desert", "diamond", "dinner", "doctor", "dolphin",
	"domino", "donkey", "dragon", "drum", "dynamo", "eagle", "echo", "eclipse",
	"elbow", "elephant", "engine", "envelope", "fabric", "falcon", "feather", "fender",
	"fiddle", "filter", "flamingo", "flute", "fossil", "fountain", "fox", "frost",
	"galaxy", "garlic", "gazelle", "geyser", "ginger", "giraffe", "glacier", "glove",
	"goblet", "gondola", "gopher", "granite", "guitar", "hammer", "harbor", "helmet",
	"hexagon", "honey", "humble", "hyena", "iceberg", "igloo", "indigo", "insect",
	"island", "ivory", "jacket", "jaguar", "jasmine", "jelly", "jigsaw", "jungle",
	"kayak", "kernel", "kettle", "kingdom", "kiosk", "kitten", "koala", "ladder",
	"lagoon", "lantern", "lava", "legend", "lemon", "lettuce", "lily", "llama",
	"lobster", "lunar", "magnet", "mango", "marble", "medal", "mineral", "mirror",
	"mosaic", "mustard", "napkin", "nectar", "needle", "nickel", "noble", "nomad",
	"novel", "nugget", "nutmeg", "oasis", "ocean", "octave", "olive", "onion",
	"opera", "orbit", "orchid", "oxygen", "oyster", "panther", "parrot", "pebble",
	"pelican", "penguin", "pepper", "piano", "pigeon", "pilot", "plaza", "polar",
	"prairie", "puzzle", "pyramid", "quartz", "quilt", "rabbit", "radar", "raven",
	"ribbon", "river", "rocket", "rubber", "saddle", "salmon", "satin", "scarf",
	"scooter", "senate", "shadow", "sketch", "smoke", "spider", "sponge", "squirrel",
	"stone", "sugar", "summit", "swan", "syrup", "table", "teapot", "temple",
	"thimble", "thunder", "tiger", "timber", "topaz", "tractor", "trombone", "trumpet",
	"tulip", "tunnel", "turtle", "twig", "umbrella", "uncle", "unicorn", "vacuum",
	"valley", "vanilla", "velvet", "vessel", "vinegar", "violin", "volcano", "voyage",
	"waffle", "walnut", "weasel", "whistle", "willow", "window", "wizard", "wolf",
	"yacht", "yellow", "yogurt", "zebra", "zenith", "zigzag", "zinc", "zodiac",
}
