"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const names = [...document.querySelectorAll(".run-column span")].map((one) => one.textContent);
  const cases = data.cases;
  const places = new Map(cases.map((one, at) => [one.id, at]));
  const matrix = byId("matrix");
  const dialog = byId("detail");
  const MANY = 300; // rows that are opened without being asked for
  matrix.classList.toggle("one-run", names.length === 1);

  // Everything is made of text nodes: whatever a string holds, it is shown and never read as markup.
  const element = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const drawn = (tag, attributes, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
  function fill(made, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value);
    }
    made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
    return made;
  }
  const counted = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

  // The matrix: a body for each topic, and its rows only while it is open.

  function verdict(kind) {
    const [name, glyph] = kind === null ? ["not asked", "·"] : data.kinds[kind];
    return element(
      "span", { class: "verdict", title: name },
      element("span", { class: "glyph", "aria-hidden": "true" }, glyph),
      element("span", { class: "word" }, name),
    );
  }
  const tone = (kind) => (kind === null ? "quiet" : data.kinds[kind][2]);

  const groups = new Map();
  cases.forEach((one, at) => {
    const cut = one.id.lastIndexOf("/");
    const name = cut < 0 ? "" : one.id.slice(0, cut);
    if (!groups.has(name)) groups.set(name, { name, all: [], shown: [], open: false, wanted: false });
    groups.get(name).all.push(at);
  });
  for (const group of groups.values()) {
    group.button = element("button", { type: "button", "aria-expanded": "false" });
    group.button.addEventListener("click", () => {
      group.wanted = !group.open;
      group.open = group.wanted;
      renderGroup(group);
      measure();
    });
    group.head = element("tr", { class: "group" }, element("th", { scope: "rowgroup" }, group.button));
    group.body = element("tbody", { "data-topic": group.name }, group.head);
    matrix.append(group.body);
  }

  function tally(shown, run) {
    const counts = new Map();
    for (const at of shown) {
      const kind = cases[at].v[run];
      if (kind !== null) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    }
    const order = ["bad", "known", "good", "quiet"];
    const found = [...counts].sort((a, b) => order.indexOf(tone(a[0])) - order.indexOf(tone(b[0])) || a[0] - b[0]);
    return element("td", null, found.map(([kind, count]) => element(
      "span", { class: tone(kind), title: data.kinds[kind][0] },
      element("span", { "aria-hidden": "true" }, `${data.kinds[kind][1]} `), String(count),
      element("span", { class: "hidden" }, ` ${data.kinds[kind][0]}`),
    )));
  }

  function row(at) {
    const one = cases[at];
    const link = element(
      "a", { href: `#${address(one.id)}`, tabindex: at === current ? "0" : "-1" },
      one.id.slice(one.id.lastIndexOf("/") + 1) || "(no name)",
    );
    const about = element("span", { class: "about" }, one.about ?? "");
    const cells = names.map((_, run) => {
      const kind = one.v[run];
      const unexpected = one.u?.includes(run);
      const mark = unexpected ? [" ", element("span", { class: "mark" }, "unexpected")] : null;
      return element("td", { class: `${tone(kind)}${unexpected ? " surprise" : ""}` }, verdict(kind), mark);
    });
    const made = element(
      "tr", { class: "case", "data-at": at },
      element("th", { scope: "row" }, element("div", null, link, about)), cells,
    );
    return made;
  }

  function renderGroup(group) {
    group.body.hidden = group.shown.length === 0;
    group.button.setAttribute("aria-expanded", String(group.open));
    const all = group.shown.length === group.all.length;
    const size = all ? String(group.all.length) : `${group.shown.length} of ${group.all.length}`;
    const parts = (group.name || "(no topic)").split("/").flatMap((part, at) => (at ? ["/", element("wbr"), part] : [part]));
    group.button.replaceChildren(element("span", null, parts), element("span", { class: "size" }, size));
    group.head.replaceChildren(group.head.firstChild, ...names.map((_, run) => tally(group.shown, run)));
    group.body.replaceChildren(group.head, ...(group.open ? group.shown.map(row) : []));
  }

  const filter = byId("filter");
  const choices = { verdict: byId("verdict"), flag: byId("flag"), unexpected: byId("unexpected"), apart: byId("apart") };

  const haystacks = cases.map((one) =>
    `${one.id} ${one.about ?? ""} ${(one.flags ?? []).map((flag) => data.flags[flag].name).join(" ")}`.toLowerCase());
  function fits(one, at, words) {
    if (choices.unexpected.checked && !one.u) return false;
    if (choices.apart?.checked && new Set(one.v.filter((kind) => kind !== null)).size < 2) return false;
    if (choices.verdict.value && !one.v.some((kind) => kind !== null && data.kinds[kind][0] === choices.verdict.value)) {
      return false;
    }
    if (choices.flag.value && !(one.flags ?? []).some((flag) => data.flags[flag].name === choices.flag.value)) return false;
    return words.every((word) => haystacks[at].includes(word));
  }

  function render() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const narrowed = words.length > 0 || choices.verdict.value || choices.flag.value
      || choices.unexpected.checked || choices.apart?.checked;
    let total = 0;
    for (const group of groups.values()) {
      group.shown = group.all.filter((at) => fits(cases[at], at, words));
      total += group.shown.length;
    }
    for (const group of groups.values()) {
      group.open = group.wanted || Boolean(narrowed && total <= MANY);
      renderGroup(group);
    }
    byId("count").textContent = total === cases.length ? counted(total, "case") : `${total} of ${counted(cases.length, "case")}`;
    byId("none").hidden = total > 0;
    keepOneTabStop();
    measure();
  }
  filter.addEventListener("input", render);
  for (const one of Object.values(choices)) one?.addEventListener("change", render);
  document.querySelector(".bar").addEventListener("submit", (event) => event.preventDefault());
  byId("all").addEventListener("click", () => {
    const open = byId("all").getAttribute("aria-pressed") !== "true";
    byId("all").setAttribute("aria-pressed", String(open));
    byId("all").textContent = open ? "close all" : "open all";
    for (const group of groups.values()) group.wanted = open;
    render();
  });
  matrix.addEventListener("click", (event) => {
    const found = event.target.closest("tr.case");
    if (found && !event.target.closest("a") && !String(getSelection())) location.hash = address(cases[found.dataset.at].id);
  });

  for (const button of document.querySelectorAll(".show-unexpected")) {
    button.addEventListener("click", () => {
      choices.unexpected.checked = true;
      render();
      document.querySelector("main").scrollIntoView();
      move(0);
    });
  }

  // Where the keyboard is: one row at a time can be reached by Tab, the others by j and k.

  let current = -1;
  const linkOf = (at) => matrix.querySelector(`tr[data-at="${at}"] a`);
  const inOrder = () => [...groups.values()].flatMap((group) => (group.open ? group.shown : []));

  function keepOneTabStop() {
    if (linkOf(current)) return;
    const first = matrix.querySelector("tr.case a");
    if (first) first.tabIndex = 0;
  }
  function setCurrent(at) {
    for (const link of matrix.querySelectorAll('tr.case a[tabindex="0"]')) link.tabIndex = -1;
    current = at;
    const group = [...groups.values()].find((one) => one.all.includes(at));
    if (group && !group.open && group.shown.includes(at)) {
      group.open = group.wanted = true;
      renderGroup(group);
    }
    const link = linkOf(at);
    if (link) link.tabIndex = 0;
    else keepOneTabStop();
    return link;
  }
  function focusCase(at) {
    const link = setCurrent(at);
    if (!link) return;
    link.focus({ preventScroll: true });
    link.closest("tr").scrollIntoView({ block: "nearest" });
  }
  matrix.addEventListener("focusin", (event) => {
    const found = event.target.closest("tr.case");
    if (found && Number(found.dataset.at) !== current) setCurrent(Number(found.dataset.at));
  });
  function neighbour(step) {
    let order = inOrder();
    if (order.length === 0) {
      const first = [...groups.values()].find((group) => group.shown.length);
      if (!first) return null;
      first.open = first.wanted = true;
      renderGroup(first);
      order = inOrder();
    }
    const place = order.indexOf(current);
    if (place < 0) return order[0];
    return order[Math.min(Math.max(place + step, 0), order.length - 1)];
  }
  function move(step) {
    const at = neighbour(step);
    if (at === null) return;
    if (dialog.open) open(at);
    else focusCase(at);
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input[type=search], select, textarea");
    const inMatrix = event.target.closest("#matrix");
    if (typing) {
      if (event.key === "ArrowDown" && event.target === filter) {
        event.preventDefault();
        move(inOrder().includes(current) ? 0 : 1);
      } else if (event.key === "Escape" && event.target === filter) {
        if (filter.value) { filter.value = ""; render(); } else filter.blur();
      }
      return;
    }
    if (event.key === "/" && !dialog.open) {
      event.preventDefault();
      filter.focus();
      filter.select();
    } else if (event.key === "j" || (event.key === "ArrowDown" && inMatrix)) {
      event.preventDefault();
      move(1);
    } else if (event.key === "k" || (event.key === "ArrowUp" && inMatrix)) {
      event.preventDefault();
      move(-1);
    }
  });

  // The detail of a case, by the address behind #.

  const address = (id) => encodeURIComponent(id).replaceAll("%2F", "/");
  function addressed() {
    try {
      return places.get(decodeURIComponent(location.hash.slice(1)));
    } catch {
      return undefined;
    }
  }
  function follow() {
    const at = addressed();
    if (at !== undefined) open(at);
    else if (dialog.open) dialog.close();
  }
  // Browsers refuse an address that changes too often, as it does while j is held down: the last one counts. And who
  // goes elsewhere meanwhile is not called back.
  let soon;
  function remember(hash) {
    const before = location.hash;
    clearTimeout(soon);
    soon = setTimeout(() => {
      if (location.hash === before && before !== hash) history.replaceState(null, "", hash || location.pathname + location.search);
    }, 100);
  }
  function open(at) {
    setCurrent(at);
    remember(`#${address(cases[at].id)}`);
    if (!dialog.open) dialog.showModal();
    describe(at);
    dialog.scrollTop = 0;
    byId("detail-title").focus({ preventScroll: true });
  }
  dialog.addEventListener("close", () => {
    remember("");
    focusCase(described); // the browser has gone back to the row from which the first was opened
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  byId("close").addEventListener("click", () => dialog.close());
  byId("next").addEventListener("click", () => move(1));
  byId("previous").addEventListener("click", () => move(-1));
  addEventListener("hashchange", follow);

  let described = -1;
  function describe(at) {
    described = at;
    const one = cases[at];
    const cut = one.id.lastIndexOf("/") + 1;
    byId("detail-title").replaceChildren(element("span", null, one.id.slice(0, cut)), one.id.slice(cut));
    const told = names.map((_, run) => one.of?.[run] ?? {});
    const tags = element(
      "ul", { class: "tags" },
      one.level ? element("li", { class: "chip" }, `level ${one.level}`) : null,
      one.importance ? element("li", { class: "chip" }, `importance ${one.importance}`) : null,
      one.reach ? element("li", { class: "chip" }, `reach ${one.reach}`) : null,
    );
    const runs = names.map((name, run) => (one.v[run] === null ? null : subject(one, name, run, told[run])));
    byId("detail-body").replaceChildren(
      element("p", { class: "lead" }, one.about ?? ""), tags,
      ...[
        section("What was sent", sentOf(one)),
        section(one.cut?.packets ? "What a good coalescer joins" : "The cut", one.cut ? picture(one.cut) : null),
        section(names.length > 1 ? "What came of it" : "What came out", runs),
        section("Why it matters", (one.flags ?? []).map((flag) => explained(data.flags[flag]))),
        section("Why this is right", reasons(one)),
      ].filter(Boolean),
    );
  }

  function section(title, content) {
    const parts = [content].flat().filter(Boolean);
    return parts.length ? element("section", null, element("h3", null, title), parts) : null;
  }
  const lines = (texts) => (texts?.length ? element("ul", { class: "lines" }, texts.map((one) => element("li", null, one))) : null);
  const pre = (text) => element("pre", { class: "pre", tabindex: "0" }, text);

  function facts(heads, rows) {
    if (!rows?.length) return null;
    const head = element("thead", null, element("tr", null, heads.map((one) => element("th", { scope: "col" }, one))));
    const body = rows.map(([first, ...rest]) =>
      element("tr", null, element("th", { scope: "row" }, first), rest.map((one) => element("td", null, one))));
    return element("table", { class: "facts" }, head, element("tbody", null, body));
  }
  function sentOf(one) {
    return [
      one.steps ? null : lines(one.sent),
      one.vnet ? element("h4", null, one.vnetOf) : null,
      one.vnet ? element("dl", { class: "header-fields" }, one.vnet.map(([name, value, means]) =>
        element("div", null, element("dt", null, name), element("dd", null, means ? `${value} = ${means}` : value)))) : null,
      facts(["step", "does", "right answers"], one.steps?.map(([does, right], at) => [String(at), does, right])),
    ];
  }

  function reasons(one) {
    const rows = (one.basis ?? []).map((at) => data.basis[at]);
    if (one.rule) rows.unshift(["rule", one.rule]);
    if (one.sibling) rows.push(["valid sibling", one.sibling]);
    if (one.kernels !== undefined) rows.push(["confirmed on Linux", data.kernels[one.kernels]]);
    if (!rows.length) return null;
    return element("ul", { class: "reasons" }, rows.map(([kind, text]) => {
      const known = kind === "valid sibling" && places.has(text);
      const said = known ? element("a", { href: `#${address(text)}`, class: "mono" }, text) : withLinks(text);
      return element("li", null, element("span", null, `${kind}: `), said);
    }));
  }
  const linked = (url) => element("a", { href: url, rel: "noreferrer noopener" }, url);
  const withLinks = (text) =>
    text.split(/(https?:\/\/[^\s)]+)/).map((part, at) => (at % 2 ? linked(part) : part));
  function explained(flag) {
    return element(
      "div", { class: "flag" },
      element("p", null, element("strong", null, flag.name), `: ${flag.what}`),
      element("p", { class: "effect" }, flag.effect),
      flag.links.filter((url) => /^https?:\/\//.test(url)).map(linked),
    );
  }

  const AGAIN = "Again, just this case";
  function subject(one, name, run, told) {
    const kind = one.v[run];
    const chip = element("span", { class: `chip ${tone(kind)}` }, `${data.kinds[kind][1]} ${data.kinds[kind][0]}`);
    const unexpected = one.u?.includes(run) ? element("span", { class: "chip bad" }, "unexpected") : null;
    const quality = told.quality === undefined ? null : `merge quality ${Math.round(100 * told.quality)} %`;
    const notes = [
      ...(told.advice ?? []).map((text) => `advice: ${text}`),
      ...(told.policies ?? []).map((text) => `policy: ${text}`),
      quality, told.known,
    ].filter(Boolean);
    const left = told.left ? "Too much went wrong for a page to hold: the bytes are in results.jsonl and in evidence/." : null;
    return element(
      "article", { class: "subject" },
      element("div", null, element("h4", { class: "subject-name" }, name), chip, unexpected),
      told.expected ? element("p", { class: "difference" }, element("span", { class: "dim" }, "expected: "), told.expected) : null,
      wrong(told),
      told.got ? [element("h4", null, "What came out"), pre(told.got)] : null,
      told.frames ? [element("h4", null, "Frames that were written"), lines(told.frames)] : null,
      (told.pairs ?? []).map(dumps),
      told.morePairs > 0 ? element("p", { class: "dim" }, `… ${told.morePairs} more that differ; all are in the capture`) : null,
      left ? element("p", { class: "dim" }, left) : null,
      notes.length ? lines(notes) : null,
      said("Trace", told.trace), said("What it wrote to stderr", told.stderr),
      data.kinds[kind][2] === "good"
        ? element("details", null, element("summary", null, AGAIN), command(run, one))
        : [element("h4", null, AGAIN), command(run, one)],
    );
  }

  // The first line says what is wrong; below it may be a hexdump, which the page has in two columns.
  function wrong(told) {
    if (!told.difference) return null;
    const cut = told.difference.indexOf("\n");
    if (cut < 0) return element("p", { class: "difference" }, told.difference);
    const rest = told.difference.slice(cut + 1);
    return [
      element("p", { class: "difference" }, told.difference.slice(0, cut)),
      told.pairs?.length ? said("All that was found", told.difference) : pre(rest),
    ];
  }
  function said(title, text) {
    return text ? element("details", null, element("summary", null, title), pre(text)) : null;
  }
  function command(run, one) {
    const [before, after] = data.commands[run];
    const text = [before, "--select", one.select ?? one.id, after].filter(Boolean).join(" ");
    const shown = pre(text);
    const button = element("button", { type: "button", class: "copy" }, "Copy");
    button.addEventListener("click", async () => {
      button.textContent = (await copied(text, shown)) ? "Copied" : "Selected";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    return element("div", { class: "command" }, shown, element("span", { role: "status" }, button));
  }
  async function copied(text, shown) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      getSelection().selectAllChildren(shown); // without a clipboard Ctrl-C does the rest
      return false;
    }
  }

  // Expected and got side by side, the differing bytes marked.

  function dumps(pair) {
    const [right, got] = pair.hex.map((hex) => (hex === null ? null : hex.match(/../g) ?? []));
    const title = `${pair.what}: ${pair.place}`;
    const columns = [["expected", right, got, "right", 0], ["got", got, right, "wrong", 1]].map(([name, mine, other, mark, at]) => {
      const size = pair.sizes[at];
      const head = element("h5", null, size === null ? `${name}: nothing` : `${name}, ${counted(size, "byte")}`);
      return element("div", null, head, mine === null ? null : dump(pair, mine, other, mark, size));
    });
    return [
      element("h4", null, title),
      element("div", { class: "dumps" }, columns),
      facts(["field", "expected", "got"], pair.fields),
    ];
  }
  function dump(pair, mine, other, mark, size) {
    const width = innerWidth < 480 ? 8 : 16;
    const made = element("pre", { class: "dump", tabindex: "0" });
    if (pair.start) made.append(element("span", { class: "more" }, `… ${counted(pair.start, "byte")} before, the same\n`));
    let at = 0;
    while (at < mine.length) {
      const place = pair.start + at - pair.head;
      const label = place < 0 ? "vnet" : String(place);
      const end = Math.min(place < 0 ? pair.head : at + width, mine.length);
      made.append(element("span", { class: "at" }, `${label.padStart(5)}  `));
      for (; at < end; at += 1) {
        const same = other === null || mine[at] === other[at];
        made.append(same ? mine[at] : element("mark", { class: mark }, mine[at]), " ");
      }
      made.append("\n");
    }
    const more = size - pair.start - mine.length;
    if (more > 0) made.append(element("span", { class: "more" }, `… ${counted(more, "byte")} more, not shown`));
    return made;
  }

  // The picture: lengths to scale, headers not.

  const STEP = 27, TALL = 19, HEAD = 38, MOST = 12;
  function picture(cut) {
    const width = Math.max(dialog.clientWidth - (innerWidth < 704 ? 34 : 58), 280);
    return cut.packets ? joined(cut, width) : segments(cut, width);
  }
  function svg(width, rows, label, parts) {
    const height = rows * STEP;
    return drawn("svg", { class: "picture", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label }, parts);
  }
  function text(x, y, content, className) {
    return drawn("text", { x, y: y + TALL / 2 + 4, class: className }, content);
  }
  function box(x, y, width, className, label, on) {
    const fitting = label && label.length * 7.2 + 4 <= width ? text(x + width / 2, y, label, on) : null;
    return [drawn("rect", { x, y, width: Math.max(width, 1.5), height: TALL, rx: 2, class: className }), fitting];
  }
  function payload(x, y, width, size, className) {
    const words = counted(size, "byte");
    return box(x, y, width, className, words.length * 7.2 + 4 <= width ? words : String(size), "on-pay");
  }
  function segments(cut, width) {
    const sizes = cut.segments.flatMap(([size, count]) => Array(count).fill(size));
    const left = 92;
    const scale = (width - left - HEAD - 2) / Math.max(cut.payload, 1);
    const packet = (label, y, from, size, className) => [
      text(0, y, label),
      box(left + from * scale, y, HEAD, "head", String(cut.headers), "on-head"),
      size ? payload(left + HEAD + from * scale + 1, y, size * scale, size, className) : null,
    ];
    const several = sizes.length > 1;
    const parts = [packet(several ? "superpacket" : "packet", 2, 0, cut.payload, "one")];
    const skipped = Math.max(sizes.length - MOST, 0);
    let start = 0, shown = 1;
    if (several) sizes.forEach((size, at) => {
      if (at < MOST - 1 || at === sizes.length - 1) {
        if (skipped && at === sizes.length - 1) {
          parts.push(text(0, 2 + shown * STEP, `… ${skipped} more`));
          shown += 1;
        }
        parts.push(packet(`packet ${at}`, 2 + shown * STEP, start, size, at % 2 ? "two" : "one"));
        shown += 1;
      }
      start += size;
    });
    const whole = `${counted(cut.headers, "byte")} of headers and ${cut.payload} of payload`;
    const label = several ? `A superpacket, ${whole}, cut into ${counted(sizes.length, "segment")}` : `A packet, ${whole}`;
    return [svg(width, shown, label, parts), several ? null : element("p", { class: "dim" },
      sizes.length ? "one packet comes of it" : "no packet comes of it")];
  }
  function joined(cut, width) {
    const left = 92;
    const groups = cut.joined.slice(0, MOST);
    const sums = groups.map((group) => group.reduce((sum, at) => sum + cut.packets[at] + 1, 0));
    const scale = (width - left - 2) / Math.max(...sums, 1);
    const parts = groups.map((group, place) => {
      let x = left;
      const boxes = group.map((at, index) => {
        const wide = Math.max(cut.packets[at] * scale - 2, 2);
        const long = `packet ${at}: ${cut.packets[at]}`;
        const made = box(x, 2 + place * STEP, wide, index % 2 ? "two" : "one",
          long.length * 7.2 + 4 <= wide ? long : String(at), "on-pay");
        x += cut.packets[at] * scale;
        return made;
      });
      return [text(0, 2 + place * STEP, `frame ${place}`), boxes];
    });
    const more = cut.joined.length - groups.length;
    const words = `${counted(cut.packets.length, "packet")} in ${counted(cut.joined.length, "frame")}; scored, never demanded`;
    return [
      groups.length ? svg(width, groups.length, words, parts) : null,
      element("p", { class: "dim" }, more > 0 ? `… ${more} more; ${words}` : words),
    ];
  }

  // What depends on the window.

  function measure() {
    const box = document.querySelector(".box");
    box.classList.remove("scrolls");
    box.classList.toggle("scrolls", matrix.offsetWidth > box.clientWidth);
    const bar = document.querySelector(".bar");
    const height = getComputedStyle(bar).position === "sticky" ? bar.offsetHeight : 0;
    document.documentElement.style.setProperty("--bar", `${height}px`);
  }
  let wide = innerWidth;
  addEventListener("resize", () => {
    measure();
    if (dialog.open && innerWidth !== wide) describe(described);
    wide = innerWidth;
  });

  let room = MANY;
  const faulty = (one) => one.u || one.v.some((kind) => kind !== null && data.kinds[kind][2] === "bad");
  for (const group of groups.values()) {
    if (room > 0 && group.all.some((at) => faulty(cases[at]))) {
      group.wanted = true;
      room -= group.all.length;
    }
  }
  render();
  follow();
})();
