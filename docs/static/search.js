// Copyright (c) 2026, the mail2fax.m365 authors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// What somebody pastes from a log has names, ports and dates of their own in it, which are on no page; Sphinx finds
// pages that have every word, or none. Where it finds none, pages with many of the words are shown, the best first:
// the fewer pages have a word, the more it counts.
document.addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const everyWord = Search.performTermsSearch;
  Search.performTermsSearch = (words, excluded) => {
    const found = everyWord(words, excluded);
    if (found.length || words.size < 2) return found;
    const pages = new Map();
    const all = Search._index.docnames.length;
    for (const word of words) {
      if (word.length < 4) continue;
      const having = everyWord(new Set([word]), excluded);
      for (const page of having) {
        const known = pages.get(page[0]) || { page, words: 0, weight: 0 };
        pages.set(page[0], { page, words: known.words + 1, weight: known.weight + Math.log(all / having.length) });
      }
    }
    const most = Math.max(0, ...[...pages.values()].map((one) => one.weight));
    return [...pages.values()]
      .filter((one) => one.words > 1 && one.weight >= most / 2)
      .map((one) => [...one.page.slice(0, 4), Math.round(one.weight), ...one.page.slice(5)]);
  };
});
