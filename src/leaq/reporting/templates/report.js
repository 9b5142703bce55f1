"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const minus = (text) => text.replace(/(?<![\w-])-(?=[\d.∞])|(?<=\de)-(?=\d)/g, "−");

  // Theme: follows the system until the button is used.
  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // Paper shows everything.
  addEventListener("beforeprint", () => { for (const more of document.querySelectorAll("details")) more.open = true; });

  // A link into a folded section opens it.
  const unfold = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    const fold = target.querySelector(":scope > details.fold");
    if (fold) fold.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  unfold();

  // Copying is offered where there is a script; a page opened from a file may only select.
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copy);
      getSelection().selectAllChildren(text);
      try { await navigator.clipboard.writeText(text.textContent); button.textContent = "Copied"; } catch { button.textContent = "Selected: copy it with your keyboard"; }
    });
  }

  // What a mark says, on hover, touch and keyboard focus. Text only, never markup.
  const tooltip = document.getElementById("tooltip");
  const show = (mark) => {
    tooltip.textContent = minus(mark.getAttribute("aria-label"));
    tooltip.hidden = false;
    const box = mark.getBoundingClientRect(), tip = tooltip.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left + box.width / 2 - tip.width / 2), innerWidth - tip.width - 8);
    const above = box.top - tip.height - 10;
    tooltip.style.left = `${left}px`;
    tooltip.style.top = `${above > 8 ? above : box.bottom + 10}px`;
  };
  const hide = () => { tooltip.hidden = true; };
  for (const drawing of document.querySelectorAll("svg")) {
    const marks = [...drawing.querySelectorAll(".mark")];
    marks.forEach((mark, at) => {
      mark.tabIndex = at === 0 ? 0 : -1;
      mark.addEventListener("pointerenter", () => show(mark));
      mark.addEventListener("pointerleave", hide);
      mark.addEventListener("focus", () => show(mark));
      mark.addEventListener("blur", hide);
      mark.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (event.key === "Escape") hide();
        if (!step) return;
        event.preventDefault();
        const next = marks[(at + step + marks.length) % marks.length];
        mark.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      });
    });
  }

  // Tables sort by any column; numbers by value, not by their text.
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.value.replace("inf", "Infinity");
      const compare = (a, b) => {
        const x = value(a), y = value(b), p = Number(x), q = Number(y);
        return (x === "" || Number.isNaN(p) || Number.isNaN(q)) ? x.localeCompare(y) : (p === q ? 0 : p - q);
      };
      const rows = [...body.rows].sort(compare);
      body.append(...(down ? rows.reverse() : rows));
    }));
  }

  // The accuracy budget: what is chosen from which budget on was decided when the page was written.
  const element = (tag, text, kind) => Object.assign(document.createElement(tag), { textContent: text, className: kind || "" });
  const fact = (name, value) => { const row = element("div", ""); row.append(element("dt", name), element("dd", value)); return row; };
  for (const form of document.querySelectorAll("form.chooser")) {
    const prefix = form.dataset.chooser, at = (name) => document.getElementById(`${prefix}-${name}`);
    const data = JSON.parse(at("data").textContent), article = document.getElementById(prefix);
    const budget = at("budget"), cautious = at("cautious"), box = at("choice");
    const update = () => {
      const limit = Number(budget.value) + 1e-12;
      at("amount").textContent = Number(budget.value).toFixed(data.decimals);
      const loss = (row) => cautious.checked ? row.worst : row.cost;
      const keys = new Set(data.rows.filter((row) => loss(row) !== null && loss(row) <= limit).map((row) => row.key));
      const step = data.steps[cautious.checked ? "cautious" : "estimate"].findLast((one) => one.from <= limit);
      const best = data.rows.find((row) => row.key === step.key);
      const take = element("p", "Take ", "take");
      take.append(element("strong", best.label), element("span", ` within a ${data.worsening} of ${at("amount").textContent} ${data.metric}`, "print"));
      const facts = element("dl", "");
      facts.append(fact("leak, corrected for the choice", minus(step.leak)), fact(`change of ${data.metric}`, minus(best.change)), fact("file", `${best.size}${best.smaller}`));
      box.replaceChildren(take, facts);
      const hints = [];
      if (step.same.length) hints.push(`Not told apart from the least leak within this budget either, but dearer or larger: ${step.same.join(", ")}.`);
      if (best.hint) hints.push(minus(best.hint));
      if (hints.length) box.append(element("p", hints.join(" "), "hint"));
      for (const mark of article.querySelectorAll(`#${prefix}-tradeoff .mark`)) {
        mark.classList.toggle("over", !keys.has(mark.dataset.key));
        mark.classList.toggle("chosen", mark.dataset.key === best.key);
      }
      for (const row of article.querySelectorAll(`#${prefix}-ranking tbody tr`)) row.classList.toggle("chosen", row.dataset.key === best.key);
    };
    budget.addEventListener("input", update);
    cautious.addEventListener("change", update);
    form.addEventListener("submit", (event) => event.preventDefault());
    update();
  }
})();
