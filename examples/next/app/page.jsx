import { Shelf } from "./shelf.jsx";

/** Rendered on the server: what is popular. It stays if onshelf cannot run. */
export default function Page() {
  return (
    <>
      <h1>For you</h1>
      <Shelf popular={["sku-0001", "sku-0002"]} />
    </>
  );
}
