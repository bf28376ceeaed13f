// Names and roles for screen readers where gradio gives none, now and whenever it draws again.
(() => {
  const title = (part) => part.closest(".block")?.querySelector("[data-testid='block-label']")?.textContent.trim();

  const name = () => {
    for (const button of document.querySelectorAll(".image-container button:not([aria-label]):not([title])"))
      if (!button.textContent.trim()) button.setAttribute("aria-label", `${title(button) ?? "Picture"}: show it large`);
    for (const empty of document.querySelectorAll("div.empty[aria-label]:not([role])")) empty.setAttribute("role", "img");
    for (const panel of document.querySelectorAll("[role=tabpanel][id]:not([aria-labelledby])")) {
      const tab = document.getElementById(`${panel.id}-button`);
      if (!tab) continue;
      panel.setAttribute("aria-labelledby", tab.id);
      tab.setAttribute("aria-controls", panel.id);
    }
    for (const said of document.querySelectorAll("#status, #video-status, #photos-status"))
      if (!said.hasAttribute("role")) said.setAttribute("role", "status"); // what changes in it is read out
  };

  let planned = 0;
  const plan = () => {
    planned ||= requestAnimationFrame(() => {
      planned = 0;
      name();
    });
  };
  const start = () => {
    new MutationObserver(plan).observe(document.body, { childList: true, subtree: true });
    name();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
