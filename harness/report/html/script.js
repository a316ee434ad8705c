"use strict";
// Without this script the page reads the same: it adds the filters, the keyboard to the panels, and
// to what is wider than the screen a word that it is.
const page = document.getElementById("page");
const form = document.getElementById("filters");
const tagged = [...document.querySelectorAll("#page [data-standing]")];
const rows = tagged.filter((each) => each.hasAttribute("data-row"));
let opener = null;
let scrolled = 0;

function filter() {
  const { standing, method, device } = form.elements;
  const fits = (each) =>
    (!standing.value || each.dataset.standing === standing.value) &&
    (!method.value || each.dataset.method === method.value) &&
    (!device.value || each.dataset.devices.split(" ").includes(device.value));
  for (const each of tagged) {
    each.classList.toggle("out", !fits(each));
  }
  document.getElementById("count").value = `${rows.filter(fits).length} of ${rows.length} scenarios`;
}

function panel(hash) {
  const found = document.getElementById(decodeURIComponent(hash.slice(1)));
  return found && found.classList.contains("panel") ? found : null;
}

// A hint says that a drawing or table goes on; of a topology the box that decided is moved in sight.
function hint(wide) {
  const hidden = wide.scrollWidth - wide.clientWidth;
  wide.classList.toggle("more", hidden > 1);
  wide.classList.toggle("end", hidden > 1 && wide.scrollLeft >= hidden - 1);
}

function center(wide) {
  const decided = wide.querySelector("rect.bad, rect.good");
  if (decided) {
    const box = decided.getBoundingClientRect();
    const frame = wide.getBoundingClientRect();
    if (box.right > frame.right) {
      wide.scrollLeft += box.left - frame.left - (frame.width - box.width) / 2;
    }
  }
}

function show() {
  const open = panel(location.hash);
  page.inert = Boolean(open);
  if (open) {
    open.focus();
    open.scrollTop = 0;
  } else if (opener) {
    window.scrollTo(0, scrolled);
    opener.focus({ preventScroll: true });
    opener = null;
  }
}

page.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (link && panel(link.hash)) {
    opener = link;
    scrolled = window.scrollY;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && panel(location.hash)) {
    location.hash = "#page";
  }
});
form.addEventListener("change", filter);
form.addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("hashchange", show);
document.addEventListener(
  "scroll",
  ({ target }) => target.classList?.contains("wide") && hint(target),
  { capture: true, passive: true },
);
form.hidden = rows.length === 0;
// In a frame of its own: a hint changes the size that is observed.
const sized = new ResizeObserver((seen) =>
  requestAnimationFrame(() => {
    for (const { target } of seen) {
      center(target);
      hint(target);
    }
  }),
);
document.querySelectorAll(".wide").forEach((each) => sized.observe(each));
filter();
show();
