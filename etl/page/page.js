"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const word = (text) => facts.words[text];
  const filled = (text, values) => word(text).replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const number = (value, digits = 2) => value.toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits});
  const yuan = (value) => `¥${number(value)}`;
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const draw = (tag, attributes = {}, title = "") => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (title) element.append(Object.assign(document.createElementNS(SVG, "title"), {textContent: title}));
    return element;
  };
  const isolated = (text) => make("bdi", {}, text);

  // the facts by name: instances, and their lines of each day
  const text = facts.texts;
  const instances = facts.instances.map((of, n) => ({
    n, uuid: of[0], title: of[1], account: text[of[2]], project: text[of[3]], owner: text[of[4]],
    models: of[5].map((model) => text[model]), hours: of[6], least: of[7], most: of[8], sure: of[9], possible: of[10],
  }));
  const lines = [];
  for (const of of facts.daily) {
    for (let at = 4; at < of.length; at += 5) {
      const cost = of[at + 2];
      lines.push({n: of[0], project: text[of[1]], owner: text[of[2]], model: text[of[3]], day: of[at], hours: of[at + 1], cost, least: cost - of[at + 3], most: cost + of[at + 4]});
    }
  }
  const dayAt = (second) => {
    let low = 0, high = facts.days.length;
    while (high - low > 1) { const mid = (low + high) >> 1; if (facts.days[mid][1] <= second) low = mid; else high = mid; }
    return facts.days[low];
  };
  // the offset of the reporting zone is that of the day: close enough for a pointer, and exact but on two days a year
  const clock = (second) => {
    const day = dayAt(second);
    const at = new Date(Date.parse(`${day[0]}T00:00:00Z`) + (second - day[1]) * 1000);
    return at.toISOString().slice(0, 16).replace("T", " ");
  };

  const root = document.documentElement;
  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // tables: sort by a heading, copy as tab-separated text
  const value = (cell) => {
    const shown = cell.textContent.trim();
    const plain = Number(shown.replace(/[¥,%\s]/g, ""));
    return shown !== "" && !Number.isNaN(plain) ? plain : shown;
  };
  const sortable = (table) => {
    all("th", table).forEach((heading, column) => {
      const button = make("button", {type: "button"}, ...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const up = heading.getAttribute("aria-sort") !== "ascending";
        all("th", table).forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", up ? "ascending" : "descending");
        const index = heading.cellIndex;
        const keyed = [...table.tBodies[0].rows].map((row) => [value(row.cells[index]), row]);
        keyed.sort(([a], [b]) => {
          if (a === "" || b === "") return (a === "") - (b === "");
          const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
          return up ? order : -order;
        });
        table.tBodies[0].append(...keyed.map(([, row]) => row));
      });
    });
  };
  all("table.sortable").forEach(sortable);
  // a spreadsheet takes text that begins so for a formula
  const cellText = (cell) => {
    const plain = cell.textContent.replace(/[\t\r\n]+/g, " ").trim();
    if (cell.classList.contains("n")) return plain.replace(/[¥,]/g, "");
    return /^[=+\-@]/.test(plain) ? `'${plain}` : plain;
  };
  const asText = (table) => [...table.rows].filter((row) => !row.hidden).map((row) => [...row.cells].map(cellText).join("\t")).join("\n");
  const copy = async (content) => {
    if (navigator.clipboard && isSecureContext) return navigator.clipboard.writeText(content);
    const area = make("textarea", {"aria-hidden": "true"});
    area.value = content;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  all("button.copy").forEach((button) => {
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      await copy(asText(button.closest("details").querySelector("table")));
      button.textContent = word("copied");
      setTimeout(() => { button.textContent = label; }, 1500);
    });
  });

  // the rest of a long table is packed, and unpacked when somebody asks for it
  const packed = document.getElementById("rest");
  const unpacked = async () => {
    const bytes = Uint8Array.from(atob(packed.textContent), (sign) => sign.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };
  if (window.DecompressionStream) all(".rest button").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const table = button.closest("details").querySelector("table");
      const headings = all("th", table);
      headings.forEach((heading) => heading.removeAttribute("aria-sort"));
      const columns = (await unpacked())[button.dataset.key].map((column) => Array.isArray(column[0]) ? column[1].map((n) => column[0][n]) : column);
      columns[0].forEach((_, at) => {
        const row = make("tr");
        columns.forEach((column, n) => row.append(make("td", headings[n].className ? {class: headings[n].className} : {}, isolated(column[at]))));
        table.tBodies[0].append(row);
      });
      button.parentNode.remove();
    });
  });

  // stacked bars by day, as the page has them
  const HEIGHT = 220, MOST = 8;
  const ticks = (most) => {
    if (most < 0.001) return [0, 1];
    const unit = 10 ** Math.floor(Math.log10(most / 4));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * unit).find((size) => size >= most / 4);
    const marks = [0];
    while (marks.at(-1) < most) marks.push(Number((marks.at(-1) + step).toPrecision(12)));
    return marks;
  };
  const series = (chosen, by, amount) => {
    const sums = new Map();
    for (const line of chosen) {
      const name = by(line);
      if (!sums.has(name)) sums.set(name, new Float64Array(facts.days.length));
      sums.get(name)[line.day] += amount(line);
    }
    const total = (days) => days.reduce((a, b) => a + b, 0);
    const ordered = [...sums].sort((a, b) => total(b[1]) - total(a[1]) || (a[0] < b[0] ? -1 : 1));
    if (ordered.length <= MOST) return ordered;
    const rest = new Float64Array(facts.days.length);
    for (const [, days] of ordered.slice(MOST - 1)) days.forEach((v, day) => { rest[day] += v; });
    return [...ordered.slice(0, MOST - 1), [word("others"), rest]];
  };
  const bars = (group, axis, grid, chosen, by, amount, withBounds) => {
    const stacked = series(chosen, by, amount);
    const totals = facts.days.map((_, day) => stacked.reduce((sum, [, days]) => sum + days[day], 0));
    const least = new Float64Array(facts.days.length), most = new Float64Array(facts.days.length);
    if (withBounds) for (const line of chosen) { least[line.day] += line.least; most[line.day] += line.most; }
    const marks = ticks(Math.max(0, ...totals, ...most));
    const scale = HEIGHT / marks.at(-1), slot = 100 / facts.days.length;
    group.replaceChildren();
    facts.days.forEach(([name], day) => {
      let base = 0;
      stacked.forEach(([of, days], index) => {
        if (days[day] <= 0) return;
        base += days[day];
        group.append(draw("rect", {class: `s${index}`, x: `${(day + 0.14) * slot}%`, y: HEIGHT - base * scale, width: `${slot * 0.72}%`, height: days[day] * scale}, `${name} ${of}: ${number(days[day])}`));
      });
      if (most[day] > least[day]) group.append(draw("rect", {class: "maybe", x: `${(day + 0.36) * slot}%`, y: HEIGHT - most[day] * scale, width: `${slot * 0.28}%`, height: Math.max((most[day] - least[day]) * scale, 1.5)}, `${name}: ${number(least[day])} – ${number(most[day])}`));
    });
    axis.replaceChildren(...marks.map((mark) => Object.assign(draw("text", {class: "tick", x: 50, y: HEIGHT - mark * scale + 12}), {textContent: number(mark, Number.isInteger(mark) ? 0 : 1)})));
    grid(marks.map((mark) => HEIGHT - mark * scale));
    return stacked.map(([name]) => name);
  };
  const legend = (names, extra = []) => {
    const box = make("div", {class: "legend"});
    names.forEach((name, n) => box.append(make("span", {}, make("i", {class: `s${n}`}), isolated(name))));
    box.append(...extra);
    return box;
  };
  const OF = {
    "by project": (line) => line.project || word("(no rule)"),
    "by owner": (line) => line.owner || word("(no rule)"),
    "by model": (line) => line.model || "?",
    "by instance": (line) => instances[line.n] ? instances[line.n].title : "?",
  };
  const redraw = (chart, chosen) => {
    if (!chart.original) chart.original = {legend: chart.previousElementSibling, nodes: [...chart.childNodes].map((node) => node.cloneNode(true))};
    const kind = chart.dataset.kind;
    const group = chart.querySelector(".bars"), frame = group.parentNode;
    all(".bill, .foot, .billed", chart).forEach((element) => element.remove());
    all(".grid", frame).forEach((line) => line.remove());
    const place = (heights) => frame.prepend(...heights.map((y) => draw("line", {class: "grid", x2: "100%", y1: y, y2: y})));
    const by = kind === "gpu" ? OF["by model"] : OF[kind.slice(5)];
    const names = bars(group, chart.querySelector(".y"), place, chosen, by, (line) => kind === "gpu" ? line.hours : line.cost, kind !== "gpu");
    chart.previousElementSibling.replaceWith(legend(names));
  };
  const restored = (chart) => {
    if (!chart.original) return;
    chart.previousElementSibling.replaceWith(chart.original.legend);
    chart.replaceChildren(...chart.original.nodes);
    delete chart.original;
  };
  // a chart of its own, for an instance or a project
  const chartOf = (chosen, kind) => {
    const axis = draw("svg", {class: "y", width: 56, height: HEIGHT + 24, "aria-hidden": "true"});
    const plot = draw("svg", {class: "plot", height: HEIGHT + 24, role: "img", "aria-label": word("Cost by day")});
    const frame = draw("g", {transform: "translate(0 8)"}), group = draw("g", {class: "bars"});
    frame.append(...all("section .chart[data-kind] .plot > g > .blind, section .chart[data-kind] .plot > g > .future").slice(0, 4).map((band) => band.cloneNode(true)), group);
    plot.append(frame);
    const some = document.querySelector(".chart[data-kind] .plot");
    if (some) plot.append(...all(":scope > .tick", some).map((tick) => tick.cloneNode(true)));
    const place = (heights) => frame.prepend(...heights.map((y) => draw("line", {class: "grid", x2: "100%", y1: y, y2: y})));
    const names = bars(group, axis, place, chosen, OF[kind], (line) => line.cost, true);
    const box = make("div", {class: "chart"}, axis, plot);
    return [legend(names), box];
  };

  // timeline: rows that are not in the page's markup are drawn when they are asked for
  const BATCH = 250;
  const track = (of) => {
    const row = document.getElementById(`i-${of.uuid}`);
    if (row) return row.querySelector("svg.track").cloneNode(true);
    const svg = draw("svg", {class: "track", viewBox: "0 0 1000 14", preserveAspectRatio: "none", role: "img", "aria-label": `${of.title}: ${filled("{hours} h", {hours: number(of.hours)})}`});
    if (of.possible) svg.append(draw("path", {class: "maybe", d: of.possible}));
    if (of.sure) svg.append(draw("path", {class: "sure", d: of.sure}));
    return svg;
  };
  const rowOf = (of) => {
    const title = make("span", {class: "title", title: of.title}, isolated(of.title));
    const row = make("details", {class: "row"}, make("summary", {}, title, track(of), make("span", {class: "hours"}, filled("{hours} h", {hours: number(of.hours, 1)}))));
    row.dataset.n = of.n;
    return row;
  };
  const line = document.querySelector("#page .timeline");
  const rows = new Map();
  if (line) all(".row", line).forEach((row, n) => { row.dataset.n = n; rows.set(n, row); });
  let extra = [];
  let view = [0, 1000];
  const shownRows = (fits, most) => {
    extra.forEach((row) => row.remove());
    extra = [];
    let count = 0, left = 0;
    for (const of of instances) {
      const matches = fits(of);
      const row = rows.get(of.n);
      if (row) row.hidden = !matches;
      count += matches;
      if (!row && matches) { if (extra.length < most) extra.push(rowOf(of)); else left += 1; }
    }
    if (line) line.append(...extra);
    all("#page .more").forEach((more) => {
      more.hidden = left === 0;
      if (left === 0) return;
      const button = make("button", {type: "button"}, filled("show {count} more", {count: Math.min(left, BATCH)}));
      button.addEventListener("click", () => shownRows(fits, most + BATCH));
      more.replaceChildren(button, ` ${count - left} / ${count}`);
    });
    zoomed();
    return count;
  };
  const zoomed = () => {
    if (!line) return;
    const width = view[1] - view[0];
    for (const svg of all("svg.track", line)) svg.setAttribute("viewBox", `${view[0]} 0 ${width} 14`);
    for (const element of all(".behind [x], .behind [x1]", line)) {
      const names = element.hasAttribute("x1") ? ["x1", "x2"] : ["x"];
      if (!element.at) element.at = [parseFloat(element.getAttribute(names[0])), parseFloat(element.getAttribute("width") || 0)];
      const at = (element.at[0] * 10 - view[0]) / width * 100;
      names.forEach((name) => element.setAttribute(name, `${at}%`));
      if (element.at[1]) element.setAttribute("width", `${element.at[1] * 1000 / width}%`);
      if (element.tagName === "text") element.setAttribute("visibility", at < -1 || at > 99 ? "hidden" : "visible");
    }
  };
  const move = (left, width) => {
    const kept = Math.min(1000, Math.max(2, width));
    const from = Math.min(Math.max(0, left), 1000 - kept);
    view = [from, from + kept];
    zoomed();
  };
  if (line) {
    all(".zoom").forEach((box) => { box.hidden = false; });
    all(".zoom button").forEach((button) => button.addEventListener("click", () => {
      const width = view[1] - view[0], size = width * Number(button.dataset.zoom || 1);
      move(view[0] + (width - size) / 2 + width * Number(button.dataset.move || 0), size);
    }));
    line.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      const area = line.querySelector(".bands").getBoundingClientRect();
      const share = Math.min(Math.max((event.clientX - area.left) / area.width, 0), 1);
      const at = view[0] + share * (view[1] - view[0]), width = (view[1] - view[0]) * (event.deltaY > 0 ? 1.25 : 0.8);
      move(at - share * width, width);
    }, {passive: false});
    // with script a row leads to the page of its instance
    line.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (!row || event.target.closest("p")) return;
      event.preventDefault();
      location.hash = `i-${instances[row.dataset.n].uuid}`;
    });
  }

  // filters, which stand in the address
  const form = document.querySelector(".filter");
  form.hidden = false;
  const output = form.querySelector("output");
  const fields = [...form.elements].filter((field) => field.name);
  const wanted = () => Object.fromEntries(fields.map((field) => [field.name, field.value.trim()]).filter(([, asked]) => asked));
  const figures = Object.fromEntries(all("[data-figure]").map((element) => [element.dataset.figure, [element, element.textContent]]));
  const put = (name, content) => { if (figures[name]) figures[name][0].textContent = content; };
  all("section[data-whole] > h2").forEach((heading) => { heading.dataset.note = form.querySelector(".scope").dataset.note; });
  const filter = () => {
    const asked = wanted(), q = (asked.q || "").toLowerCase();
    const isOf = (of, line_) => (!asked.project || line_.project === asked.project) && (!asked.owner || line_.owner === asked.owner)
      && (!asked.account || of.account === asked.account)
      && (!q || `${of.title}\n${of.uuid}\n${line_.project}\n${line_.owner}`.toLowerCase().includes(q));
    const isFiltered = Object.keys(asked).length > 0;
    const chosen = isFiltered ? lines.filter((line_) => isOf(instances[line_.n] || {title: "", uuid: ""}, line_) && (!asked.model || line_.model === asked.model)) : lines;
    const charged = new Set(chosen.map((line_) => line_.n));
    const fits = (of) => !isFiltered || charged.has(of.n) || (isOf(of, of) && (!asked.model || of.models.includes(asked.model)));
    document.body.classList.toggle("filtered", isFiltered);
    const count = shownRows(fits, isFiltered ? BATCH : 0);
    output.textContent = isFiltered ? (count ? `${count} / ${instances.length}` : word("nothing matches the filter")) : "";
    let running = 0;
    for (const row of all("#running tbody tr, #nights tbody tr")) {
      const of = instances[row.dataset.n];
      row.hidden = isFiltered && !(of && fits(of));
      if (!row.hidden && row.closest("#running")) running += 1;
    }
    for (const [, [element, original]] of Object.entries(figures)) element.textContent = original;
    if (isFiltered) {
      const sum = (name) => chosen.reduce((total, line_) => total + line_[name], 0);
      put("running", String(running));
      put("gpu_hours", number(sum("hours")));
      put("cost_yuan", yuan(sum("cost")));
      put("cost_bounds", filled("between {low} and {high}", {low: yuan(sum("least")), high: yuan(sum("most"))}));
    }
    for (const chart of all("#page .chart[data-kind]")) if (isFiltered) redraw(chart, chosen); else restored(chart);
  };
  const remember = () => {
    const hash = new URLSearchParams(wanted()).toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  };
  form.addEventListener("input", () => { filter(); remember(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => { move(0, 1000); setTimeout(() => { filter(); remember(); }); });

  // a page of one instance or one project, in the same file
  const page = document.getElementById("page"), detail = document.getElementById("detail");
  const part = (title, ...children) => make("section", {}, make("h2", {}, title), ...children);
  const grid = (headings, lines_, numeric) => {
    const head = make("tr");
    headings.forEach((heading, n) => head.append(make("th", {scope: "col", ...(numeric.includes(n) ? {class: "n"} : {})}, heading)));
    const body = make("tbody");
    for (const cells of lines_) {
      const row = make("tr");
      cells.forEach((cell, n) => row.append(make("td", numeric.includes(n) ? {class: "n"} : {}, cell instanceof Node ? cell : isolated(String(cell)))));
      body.append(row);
    }
    const table = make("table", {class: "sortable"}, make("thead", {}, head), body);
    sortable(table);
    return make("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": headings.join(" ")}, table);
  };
  const figuresOf = (pairs) => make("dl", {class: "facts"}, ...pairs.map(([name, shown, small]) => make("div", {}, make("dt", {}, name), make("dd", {}, shown), ...(small ? [make("dd", {class: "small"}, small)] : []))));
  const bounds = (chosen) => filled("between {low} and {high}", {low: yuan(sumOf(chosen, "least")), high: yuan(sumOf(chosen, "most"))});
  const strip = (list) => {
    const box = make("div", {class: "timeline"});
    if (line) box.append(line.querySelector(".behind").cloneNode(true));
    for (const of of list) box.append(list.length > 1 ? rowOf(of) : make("div", {class: "row"}, make("summary", {}, make("span"), track(of), make("span"))));
    return box;
  };
  const whole = (draws) => { const before = view; move(0, 1000); const made = draws(); view = before; zoomed(); return made; };
  const link = (hash, shown) => make("a", {href: `#${hash}`}, isolated(shown));
  const quoted = (asked) => `'${asked.replaceAll("'", "''")}'`;
  const period = `day BETWEEN '${facts.from}' AND '${facts.to}'`;
  const commands = (sql, command) => make("p", {class: "hint"}, `${word("the same by SQL")}: `, make("code", {}, sql), make("br"), `${word("the same by command")}: `, make("code", {}, command));
  const head = (kind, name) => [make("p", {}, make("a", {href: "#"}, `← ${word("back to the page")}`)), make("p", {class: "hint"}, kind), make("h1", {}, isolated(name))];
  const sumOf = (chosen, name) => chosen.reduce((total, line_) => total + line_[name], 0);
  const payers = (chosen) => {
    const sums = new Map();
    for (const line_ of chosen) {
      const key = `${line_.project}\n${line_.owner}`;
      const kept = sums.get(key) || {line_, days: new Set(), cost: 0, hours: 0};
      if (line_.most > 0) kept.days.add(line_.day);
      kept.cost += line_.cost; kept.hours += line_.hours;
      sums.set(key, kept);
    }
    return [...sums.values()];
  };
  const instancePage = (of) => {
    const chosen = lines.filter((line_) => line_.n === of.n);
    const runs = facts.runs[of.n] || [], versions = facts.versions[of.n] || [];
    const running = all("#running tbody tr").find((row) => Number(row.dataset.n) === of.n);
    const pairs = [
      [word("hours"), number(of.hours), `${number(of.least)} – ${number(of.most)}`],
      [word("GPU hours"), number(sumOf(chosen, "hours"))],
      [word("Cost"), yuan(sumOf(chosen, "cost")), bounds(chosen)],
      [word("GPU"), of.models.join(", ")],
    ];
    if (running) pairs.unshift([word("runs now"), `${word("since")} ${running.cells[4].textContent}`], [word("timer"), running.cells[6].textContent]);
    if (of.project) pairs.push([word("project"), link(`p-${encodeURIComponent(of.project)}`, of.project)]);
    if (of.owner) pairs.push([word("owner"), isolated(of.owner)]);
    pairs.push([word("account"), isolated(of.account)]);
    detail.replaceChildren(...head(of.uuid, of.title),
      make("section", {}, figuresOf(pairs)),
      part(word("Timeline"), whole(() => strip([of]))),
      part(word("Cost by day"), ...chartOf(chosen, "by project"), commands(`SELECT * FROM cost_daily WHERE instance_uuid = ${quoted(of.uuid)} AND ${period}`, `chenyu-etl report daily --from ${facts.from} --to ${facts.to}`)),
      part(word("Who paid"), grid([word("project"), word("owner"), word("days"), word("GPU hours"), word("Cost")], payers(chosen).map((p) => [p.line_.project || word("(no rule)"), p.line_.owner, p.days.size, number(p.hours), yuan(p.cost)]), [2, 3, 4])),
      part(`${word("Runs")} – ${filled("the newest {count}", {count: runs.length})}`, grid([word("began"), word("ended"), word("hours"), word("Cost"), word("GPU"), "≥", "≤"], runs.map((r) => [clock(facts.low + r[0]), r[1] === null ? word("still runs") : clock(facts.low + r[1]), number(r[2]), r[7] < 0 ? "" : yuan(r[7]), `${r[5]} × ${text[r[6]]}`, number(r[3]), number(r[4])]), [2, 3, 5, 6]), commands(`SELECT * FROM run_span WHERE instance_uuid = ${quoted(of.uuid)}`, `chenyu-etl report runs --from ${facts.from} --to ${facts.to}`)),
      part(`${word("Versions")} – ${filled("the newest {count}", {count: versions.length})}`, grid(["#", word("since"), word("state"), word("title"), word("GPU"), word("image"), word("timer")], versions.map((v) => [v[0], clock(v[1]), text[v[2]], text[v[3]], text[v[4]], text[v[6]], v[7] ? clock(v[7]) : word("none")]), [0]), commands(`SELECT * FROM instance_version WHERE instance_uuid = ${quoted(of.uuid)}`, `chenyu-etl report versions --from ${facts.from} --to ${facts.to}`)));
  };
  const projectPage = (name) => {
    const chosen = lines.filter((line_) => line_.project === name);
    const costs = new Map();
    for (const line_ of chosen) {
      const kept = costs.get(line_.n) || {cost: 0, hours: 0, least: 0, most: 0};
      for (const key of ["cost", "hours", "least", "most"]) kept[key] += line_[key];
      costs.set(line_.n, kept);
    }
    const ranked = [...costs].filter(([n]) => instances[n]).sort((a, b) => b[1].cost - a[1].cost);
    const budget = all("#budget .budget").find((row) => row.querySelector(".title").textContent.trim().startsWith(name));
    const section = part(word("Timeline"), whole(() => strip(ranked.slice(0, BATCH).map(([n]) => instances[n]))));
    section.classList.toggle("named", ranked.length > 1);
    section.addEventListener("click", (event) => { const row = event.target.closest(".row[data-n]"); if (row) { event.preventDefault(); location.hash = `i-${instances[row.dataset.n].uuid}`; } });
    detail.replaceChildren(...head(word("project"), name),
      make("section", {}, figuresOf([[word("Cost"), yuan(sumOf(chosen, "cost")), bounds(chosen)], [word("GPU hours"), number(sumOf(chosen, "hours"))], [word("Instances"), String(ranked.length)]]), ...(budget ? [budget.cloneNode(true)] : [])),
      part(`${word("Cost by day")}, ${word("by owner")}`, ...chartOf(chosen, "by owner"), commands(`SELECT * FROM cost_daily WHERE project = ${quoted(name)} AND ${period}`, `chenyu-etl report cost --by project --from ${facts.from} --to ${facts.to}`)),
      part(`${word("Cost by day")}, ${word("by instance")}`, ...chartOf(chosen, "by instance")),
      section,
      part(word("Instances"), grid([word("title"), word("GPU hours"), word("Cost"), word("owner"), "≥", "≤", word("GPU")], ranked.slice(0, 500).map(([n, of]) => [link(`i-${instances[n].uuid}`, instances[n].title), number(of.hours), yuan(of.cost), instances[n].owner, yuan(of.least), yuan(of.most), instances[n].models.join(", ")]), [1, 2, 4, 5])),
      part(word("Who paid"), grid([word("owner"), word("days"), word("GPU hours"), word("Cost")], payers(chosen).map((p) => [p.line_.owner || word("(no rule)"), p.days.size, number(p.hours), yuan(p.cost)]), [1, 2, 3])));
  };
  const decoded = (hash) => { try { return decodeURIComponent(hash); } catch { return hash; } };
  const route = () => {
    const hash = location.hash.slice(1);
    const name = decoded(hash);
    const of = name.startsWith("i-") ? instances.find((each) => each.uuid === name.slice(2)) : undefined;
    const project = name.startsWith("p-") && lines.some((line_) => line_.project === name.slice(2));
    if (of) instancePage(of);
    if (project) projectPage(name.slice(2));
    const isDetail = Boolean(of || project);
    detail.hidden = !isDetail;
    page.hidden = form.hidden = isDetail;
    document.querySelector("nav").hidden = isDetail;
    if (isDetail) { scrollTo(0, 0); return; }
    detail.replaceChildren();
    if (hash.includes("=")) {
      const asked = new URLSearchParams(hash);
      for (const field of fields) field.value = asked.get(field.name) || "";
      filter();
    } else if (hash) document.getElementById(name)?.scrollIntoView();
  };
  addEventListener("hashchange", route);
  filter();
  route();

  // what is under the pointer: titles of marks, and the time in the timeline
  const tip = make("div", {id: "tip", hidden: ""});
  document.body.append(tip);
  addEventListener("pointermove", (event) => {
    const mark = event.target.closest?.("rect, path, line");
    const title = mark?.querySelector(":scope > title");
    if (title) { mark.tip = title.textContent; title.remove(); }
    let shown = mark?.tip || "";
    const at = event.target.closest?.(".timeline");
    if (!shown && at) {
      const area = at.querySelector(".bands").getBoundingClientRect();
      const share = (event.clientX - area.left) / area.width;
      const [from, until] = at === line ? view : [0, 1000];
      if (share >= 0 && share <= 1) shown = clock(facts.low + (from + share * (until - from)) / 1000 * (facts.high - facts.low));
    }
    tip.hidden = !shown;
    tip.textContent = shown;
    if (!shown) return;
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8)}px`;
  });
})();
