"use strict";
(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // tables: sort by a heading, copy as tab-separated text
  const value = (cell) => {
    const text = cell.textContent.trim();
    const number = Number(text.replace(/[¥,%\s]/g, ""));
    return text !== "" && !Number.isNaN(number) ? number : text;
  };
  for (const table of all("table.sortable")) {
    all("th", table).forEach((heading, column) => {
      heading.tabIndex = 0;
      const sort = () => {
        const up = heading.getAttribute("aria-sort") !== "ascending";
        all("th", table).forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = all("tbody tr", table);
        rows.sort((one, two) => {
          const [a, b] = [value(one.cells[column]), value(two.cells[column])];
          const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
          return up ? order : -order;
        });
        table.tBodies[0].append(...rows);
      };
      heading.addEventListener("click", sort);
      heading.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
    });
  }
  for (const button of all("button.copy")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", () => {
      const rows = all("tr", button.closest("details"));
      navigator.clipboard.writeText(rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim()).join("\t")).join("\n"));
    });
  }

  // timeline: filter by the address, zoom by the wheel with Ctrl, times under the pointer
  const line = document.querySelector(".timeline");
  const form = document.querySelector(".filter");
  if (!line || !form) return;
  form.hidden = false;
  const rows = all(".row", line);
  const output = form.querySelector("output");
  const fields = [...form.elements].filter((field) => field.name);
  const filter = () => {
    const wanted = Object.fromEntries(fields.map((field) => [field.name, field.value.trim()]));
    let count = 0;
    for (const row of rows) {
      const text = `${row.querySelector(".title").textContent} ${row.dataset.project} ${row.dataset.owner} ${row.id}`.toLowerCase();
      const fits = ["project", "owner", "account"].every((name) => !wanted[name] || row.dataset[name] === wanted[name])
        && (!wanted.model || row.dataset.model.split(", ").includes(wanted.model))
        && text.includes((wanted.q || "").toLowerCase());
      row.hidden = !fits;
      count += fits;
    }
    output.textContent = `${count} / ${rows.length}`;
    const kept = new URLSearchParams(Object.entries(wanted).filter(([, text]) => text));
    const hash = kept.toString();
    if (hash) history.replaceState(null, "", `#${hash}`);
    else if (location.hash.includes("=")) history.replaceState(null, "", location.pathname + location.search);
  };
  const [low, high] = [Number(line.dataset.low), Number(line.dataset.high)];
  let view = [0, 1000];
  const marks = all(".labels span, .behind i", line).map((mark) => [mark, parseFloat(mark.style.left) * 10]);
  const show = () => {
    const width = view[1] - view[0];
    for (const svg of all("svg", line)) {
      const box = svg.viewBox.baseVal;
      svg.setAttribute("viewBox", `${view[0]} 0 ${width} ${box.height}`);
    }
    for (const [mark, at] of marks) {
      const place = (at - view[0]) / width * 100;
      mark.style.left = `${place}%`;
      mark.hidden = place < 0 || place > 100;
    }
  };
  line.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const area = line.querySelector(".behind").getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - area.left) / area.width, 0), 1);
    const at = view[0] + share * (view[1] - view[0]);
    const width = Math.min(1000, Math.max(2, (view[1] - view[0]) * (event.deltaY > 0 ? 1.25 : 0.8)));
    const left = Math.min(Math.max(0, at - share * width), 1000 - width);
    view = [left, left + width];
    show();
  }, {passive: false});
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => { view = [0, 1000]; show(); setTimeout(filter); });
  const restore = () => {
    if (location.hash.includes("=")) {
      const asked = new URLSearchParams(location.hash.slice(1));
      for (const field of fields) field.value = asked.get(field.name) || "";
      filter();
    } else if (location.hash.startsWith("#i-")) {
      const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      if (row) { row.open = true; row.scrollIntoView(); }
    }
  };
  addEventListener("hashchange", restore);
  filter();
  restore();

  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const zone = JSON.parse(document.getElementById("days").textContent);
  const clock = (second) => {
    let day = zone[0];
    for (const each of zone) if (each[1] <= second) day = each;
    const minutes = Math.floor((second - day[1]) / 60);
    return `${day[0]} ${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
  };
  line.addEventListener("pointermove", (event) => {
    const track = event.target.closest("svg.track, .row summary");
    if (!track) { tip.hidden = true; return; }
    const area = line.querySelector(".behind").getBoundingClientRect();
    const share = (event.clientX - area.left) / area.width;
    tip.hidden = share < 0 || share > 1;
    tip.textContent = clock(low + (view[0] + share * (view[1] - view[0])) / 1000 * (high - low));
    tip.style.left = `${Math.min(event.clientX + 12, innerWidth - 140)}px`;
    tip.style.top = `${event.clientY + 14}px`;
  });
  line.addEventListener("pointerleave", () => { tip.hidden = true; });
})();
