// Whether the page is as narrow as a phone.
const query = matchMedia("(max-width: 760px)");

export const media = $state({ narrow: query.matches });

query.addEventListener("change", () => {
  media.narrow = query.matches;
});
